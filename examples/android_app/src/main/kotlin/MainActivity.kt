package dynamic.keras

import android.Manifest
import android.app.Activity
import android.content.pm.PackageManager
import android.graphics.ImageFormat
import android.hardware.camera2.CameraCaptureSession
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraDevice
import android.hardware.camera2.CameraManager
import android.media.Image
import android.media.ImageReader
import android.os.Bundle
import android.os.Handler
import android.os.HandlerThread
import android.view.Gravity
import android.widget.LinearLayout
import android.widget.SeekBar
import android.widget.TextView
import com.google.ai.edge.litert.CompiledModel
import java.io.FileInputStream
import java.nio.ByteBuffer
import java.nio.channels.FileChannel.MapMode
import org.json.JSONObject

/** Classifies what the camera sees: label, exit and milliseconds; a slider chooses the operating point. */
class MainActivity : Activity() {
    private lateinit var answer: TextView
    private lateinit var slider: PointSlider
    private lateinit var worker: Handler // The one thread that classifies.
    private val thread = HandlerThread("classifier")
    private var classifier: EarlyExitClassifier<*>? = null
    private var camera: CameraDevice? = null
    private var reader: ImageReader? = null
    private var times = FrameTimes()

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        thread.start()
        worker = Handler(thread.looper)
        slider = PointSlider(JSONObject(Charsets.UTF_8.decode(asset("manifest.json")).toString()))
        answer = TextView(this).apply { textSize = 24f }
        val point = TextView(this).apply { text = slider.title(slider.start) }
        val bar = SeekBar(this).apply { max = slider.names.size - 1; progress = slider.start }
        bar.setOnSeekBarChangeListener(object : SeekBar.OnSeekBarChangeListener {
            override fun onProgressChanged(bar: SeekBar, place: Int, fromUser: Boolean) {
                point.text = slider.title(place)
                worker.post { use(slider.names[place]) }
            }

            override fun onStartTrackingTouch(bar: SeekBar) = Unit

            override fun onStopTrackingTouch(bar: SeekBar) = Unit
        })
        setContentView(LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            setGravity(Gravity.CENTER)
            listOf(answer, point, bar).forEach(::addView)
        })
        worker.post { use(null) }
    }

    override fun onResume() {
        super.onResume()
        if (checkSelfPermission(Manifest.permission.CAMERA) == PackageManager.PERMISSION_GRANTED) open()
        else requestPermissions(arrayOf(Manifest.permission.CAMERA), 0) // Resumes again.
    }

    override fun onPause() {
        camera?.close()
        camera = null
        worker.post { reader?.close(); reader = null }
        super.onPause()
    }

    override fun onDestroy() {
        worker.post { classifier?.close() }
        thread.quitSafely()
        super.onDestroy()
    }

    private fun use(point: String?) {
        classifier?.close()
        val runtime = CompiledRuntime { file, options, environment ->
            CompiledModel.create(assets, "bundle/$file", options, environment)
        }
        classifier = EarlyExitClassifier(runtime, point, ::asset)
        times = FrameTimes()
    }

    private fun asset(file: String): ByteBuffer = assets.openFd("bundle/$file").use {
        FileInputStream(it.fileDescriptor).channel.map(MapMode.READ_ONLY, it.startOffset, it.declaredLength)
    }

    private fun open() {
        val manager = getSystemService(CAMERA_SERVICE) as CameraManager
        val id = manager.cameraIdList.first {
            val facing = manager.getCameraCharacteristics(it).get(CameraCharacteristics.LENS_FACING)
            facing == CameraCharacteristics.LENS_FACING_BACK
        }
        // The app is upright, as its manifest says, so the sensor's turn is the frame's.
        val turned = manager.getCameraCharacteristics(id).get(CameraCharacteristics.SENSOR_ORIENTATION)!!
        val frames = ImageReader.newInstance(640, 480, ImageFormat.YUV_420_888, 2)
        frames.setOnImageAvailableListener({ it.acquireLatestImage()?.use { image -> show(image, turned) } }, worker)
        reader = frames
        manager.openCamera(id, object : CameraDevice.StateCallback() {
            override fun onOpened(device: CameraDevice) {
                camera = device
                val request = device.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW)
                    .apply { addTarget(frames.surface) }.build()
                device.createCaptureSession(listOf(frames.surface), object : CameraCaptureSession.StateCallback() {
                    override fun onConfigured(session: CameraCaptureSession) {
                        session.setRepeatingRequest(request, null, worker)
                    }

                    override fun onConfigureFailed(session: CameraCaptureSession) = device.close()
                }, worker)
            }

            override fun onDisconnected(device: CameraDevice) = device.close()

            override fun onError(device: CameraDevice, error: Int) = device.close()
        }, worker)
    }

    private fun show(image: Image, turned: Int) {
        val classifier = classifier ?: return
        val (y, u, v) = image.planes.map {
            CameraFrame.Plane(ByteArray(it.buffer.remaining()).also(it.buffer::get), it.rowStride, it.pixelStride)
        }
        val crop = image.cropRect.let { CameraFrame.Crop(it.left, it.top, it.width(), it.height()) }
        val argb = CameraFrame.argb(crop, y, u, v)
        val pixels = classifier.fit.pixels(argb, crop.width, CameraFrame.orientation(turned))
        val start = System.nanoTime()
        val result = classifier.classify(pixels)
        times.add(start, System.nanoTime())
        val text = "%s\nexit %d\n%.2f ms".format(result.label, result.exit, times.median)
        runOnUiThread { answer.text = text }
    }
}
