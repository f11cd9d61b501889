from pipeline.results import static_exit
from pipeline.results.static_exit import StaticExit


def test_the_shallowest_that_is_accurate_enough():
    found = static_exit.choose([0.5, 0.9, 0.8, 0.9], 0.8)
    assert found == StaticExit(exit=1, accuracy=0.9, enough=True)


def test_otherwise_the_most_accurate_one():
    found = static_exit.choose([0.5, 0.9, 0.8, 0.9], 0.95)
    assert found == StaticExit(exit=1, accuracy=0.9, enough=False)
