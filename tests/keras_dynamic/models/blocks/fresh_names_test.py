import keras

from keras_dynamic.models.blocks.fresh_names import fresh_names


def test_names_begin_anew_and_do_not_come_again():
    keras.layers.Dense(1)
    made = []
    for _ in range(2):
        with fresh_names():
            made.append([keras.layers.Dense(1).name for _ in range(300)])
    assert made[0] == made[1]
    assert made[0][:2] == ["dense", "dense_1"]
    assert keras.layers.Dense(1).name not in made[0]
