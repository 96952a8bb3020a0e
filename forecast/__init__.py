"""What Lowtide knows about the grid: zones, carbon intensity, its sources, its history and its forecasts.

This part knows nothing of jobs, databases or web frameworks.
"""
