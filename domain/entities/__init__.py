"""The map of integration data: which record of Finance is which record of Sales, field by field, and who owns what.

`model` is what a map says, `identity` when two maps say the same, `facts` what the two systems say of themselves, and
`lint` what is wrong with maps, by fifteen rules. The maps are data: `policies/maps/`.
"""
