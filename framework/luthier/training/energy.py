"""How much energy the processors use, where the machine lets that be read: Intel's and AMD's RAPL counters on Linux.

A counter is of a whole processor package, so what else runs on the machine is part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


@dataclass
class _Counter:
    """Micro-joules of one package, which begin again at 0 after `most`."""

    file: Path
    most: int
    last: int

    def spent(self) -> int:
        now = int(self.file.read_text())
        spent = now - self.last if now >= self.last else now + self.most - self.last
        self.last = now
        return spent


class Meter:
    """Knows the energy between two looks. Most systems let only root read the counters."""

    def __init__(self, folder: Path = POWERCAP) -> None:
        self._counters: list[_Counter] = []
        for zone in sorted(folder.glob("intel-rapl:*")):
            if zone.name.count(":") == 1:  # a package; its parts have a further number
                try:
                    most = int((zone / "max_energy_range_uj").read_text())
                    self._counters.append(_Counter(zone / "energy_uj", most, int((zone / "energy_uj").read_text())))
                except (OSError, ValueError):
                    continue

    def spent(self) -> float | None:
        """Joules of all packages since the last look; None where nothing can be read."""
        if not self._counters:
            return None
        try:
            return sum(counter.spent() for counter in self._counters) / 1e6
        except (OSError, ValueError):
            self._counters = []
            return None
