"""What an hour counts of whose carbon intensity nobody knows anything. Unknown is not zero, and no gap may pass for a clean hour.

It is the median life-cycle figure of pulverised coal, gCO2e/kWh (IPCC AR5 WG3, Annex III, table A.III.2): few grids are worse on
average, so plans choose such an hour last, and budgets do not count it as cheap.
"""

from __future__ import annotations

UNKNOWN_G_PER_KWH = 820.0
