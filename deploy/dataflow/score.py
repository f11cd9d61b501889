"""What the launcher of the flex template "score" runs."""

from pipeline.cli import launch

if __name__ == "__main__":
    launch.main("score")
