"""What is wrong with a network: a report on its gradients, and a monitor of a whole training."""

from fastact.diagnostics.monitor import GradientMonitor, Nonfinite
from fastact.diagnostics.report import GradientReport, gradient_report
from fastact.diagnostics.verdict import Finding

__all__ = ["Finding", "GradientMonitor", "GradientReport", "Nonfinite", "gradient_report"]
