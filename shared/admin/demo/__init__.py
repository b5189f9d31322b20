"""`mercury demo`: the whole suite on one machine, on loopback, with real mail, in a temporary folder."""
