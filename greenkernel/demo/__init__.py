"""Material of the demo and of tests: ECG records, the cell that learns from them, and made-up carbon traces."""

from greenkernel.demo.cell import CELL, SETUP, setup_namespace
from greenkernel.demo.ecg import EcgRecords, load_records

__all__ = ["CELL", "SETUP", "EcgRecords", "load_records", "setup_namespace"]
