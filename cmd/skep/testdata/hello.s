; doubles 21
    r1 = 21
    call double
    exit
double:
    r2 = 0x100000000 ll           # wide: two slots
    r0 = r1
    r0 *= 2
    exit
