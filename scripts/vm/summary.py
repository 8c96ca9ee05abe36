"""Tells the result of the tests in the guest from what it has left: one junit file for each boot."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

BOOTS = 2


def count(file: Path) -> dict[str, int]:
    """Numbers of tests by outcome."""
    suites = ET.parse(file).getroot().iter("testsuite")
    total = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for suite in suites:
        for key in total:
            total[key] += int(suite.get(key, "0"))
    return total


def main(results: Path, seconds: int) -> int:
    """Print the closing line; 0 when every boot has run its tests to the end and none has failed."""
    passed = failed = skipped = 0
    complete = True
    for boot in range(1, BOOTS + 1):
        status, junit = results / f"status.{boot}", results / f"junit.{boot}.xml"
        if not status.exists() or not junit.exists():
            print(f"boot {boot}: the tests have not run to their end; see console.{boot}.log")
            complete = False
            continue
        numbers = count(junit)
        bad = numbers["failures"] + numbers["errors"]
        passed += numbers["tests"] - bad - numbers["skipped"]
        failed += bad
        skipped += numbers["skipped"]
        complete &= status.read_text().strip() == "0"
    print(f"In the guest ({seconds // 60} min {seconds % 60} s, details in {results}):")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if complete and passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
