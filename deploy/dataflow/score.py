"""What the launcher of the flex template "score" runs."""

from pipeline import launch

if __name__ == "__main__":
    launch.main("score")
