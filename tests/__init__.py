"""Tests mirror the tree. A regular package, so that an installed package of the same name never comes first."""
