/* What depends on looking up in a register, for backends that cannot. */
#if REAL == 32
/* table[slot mod 16], slot being the number in the lowest bits */
static INLINE V vlookup(const T *table, V slot) {
  T lanes[LANES];
  U bits;
  vstore(lanes, slot);
  for (int k = 0; k < LANES; k++) {
    memcpy(&bits, lanes + k, sizeof bits);
    lanes[k] = table[bits & 15];
  }
  return vload(lanes);
}

/* the exponent and two bits of the fraction */
static INLINE V vslot(V a) {
  T lanes[LANES];
  U bits;
  vstore(lanes, a);
  for (int k = 0; k < LANES; k++) {
    memcpy(&bits, lanes + k, sizeof bits);
    bits >>= 21;
    memcpy(lanes + k, &bits, sizeof bits);
  }
  return vload(lanes);
}
#endif
