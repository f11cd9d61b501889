// Never built: Android's Gradle plugin and LiteRT are in Google's repository, which
// could not be reached. `make check-android` compiles the Kotlin without Gradle.
plugins {
    id("com.android.application") version "8.7.3"
    id("org.jetbrains.kotlin.android") version "2.0.21"
}

android {
    namespace = "dynamic.keras"
    compileSdk = 35
    defaultConfig {
        applicationId = "dynamic.keras.camera"
        minSdk = 23
        targetSdk = 35
        versionCode = 1
        versionName = "1"
    }
    // The classes that are to be copied into an app.
    sourceSets["main"].kotlin.srcDir("../android")
    // So that files can be mapped.
    androidResources { noCompress += listOf("tflite", "json", "txt") }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
    kotlinOptions { jvmTarget = "1.8" }
}

dependencies {
    // Has CompiledModel and Interpreter; docs/android.md.
    implementation("com.google.ai.edge.litert:litert:2.1.0")
}
