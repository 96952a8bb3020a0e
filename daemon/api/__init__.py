"""The HTTP edge: validates, authorises, asks the service, answers. It decides nothing."""
