"""The step ``doctor``: write what the machine and the folders of a job have."""

from argparse import Namespace

from app.job.diagnosis import write_diagnosis
from app.job.places import Place
from app.process import StopSignal


def diagnose(place: Place, args: Namespace, stop: StopSignal) -> str:  # noqa: ARG001 - a step
    """Write ``doctor.json`` into the output.

    Raises:
        ConfigError: a setting in the environment is wrong.
        OutputError, DiskFull: the file cannot be written.
    """
    people = place.folder("people")
    facts = write_diagnosis(place.root, place.output, str(people) if people.is_dir() else None)
    return f"{len(facts['faults'])} faults"
