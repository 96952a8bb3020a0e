"""The study behind Lowtide, rerun from our own pieces: Seyfarth, Dar, Engelhardt, "Latent Pollution Model" (arXiv 2407.14892).

Needs the energy model and tables of carbon intensity, and nothing of a running daemon. numpy only; torch and matplotlib are
imported where a short run or a picture is asked for.
"""
