"""Tells the result of the tests in the guest: each part of them has left a junit file and an exit status."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

PARTS = ("systemd", "restarted", "everywhere")


def count(file: Path) -> tuple[int, int, int]:
    """Numbers of tests that have passed, failed, and were skipped."""
    total = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for suite in ET.parse(file).getroot().iter("testsuite"):
        for key in total:
            total[key] += int(suite.get(key, "0"))
    bad = total["failures"] + total["errors"]
    return total["tests"] - bad - total["skipped"], bad, total["skipped"]


def main(results: Path, seconds: int) -> int:
    """Print the closing line; 0 when every part has run to its end and none has failed."""
    numbers, complete = [], True
    print(f"In the guest ({seconds // 60} min {seconds % 60} s; logs in {results}):")
    for part in PARTS:
        status, junit = results / f"status.{part}", results / f"junit.{part}.xml"
        if not status.exists() or not junit.exists():
            print(f"  {part}: has not run to its end")
            complete = False
            continue
        numbers.append(count(junit))
        complete &= status.read_text().strip() == "0"
        print("  {}: {} passed, {} failed, {} skipped".format(part, *numbers[-1]))
    passed, failed, skipped = (sum(column) for column in zip(*numbers, strict=True)) if numbers else (0, 0, 0)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if complete and passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
