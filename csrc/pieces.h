/* float32 functions of a = |x| as sixteen polynomials each: f(a) = c + t p(t), t = a - m, where m is chosen so that f(m) is
 * a float32, but for 2^-9 ULP. Near 0, c + t p(t) is f(a) - a. A row of a table holds a coefficient of all pieces: m, c, and
 * those of p. Fits by tools/pieces.py, which also prints their errors.
 *
 * What is looked up by the lowest four bits of `slot`: no gather, no branch. There is no float64 version, for which sixteen
 * pieces are too few. */
#if REAL == 32
#define TANH_LIMIT 9.02f /* from here on tanh is 1 */
#define TANH_SCALE 1.66f
#define ERF_LIMIT 3.93f
#define ERF_SCALE 3.9375f

/* by vslot(1 + TANH_SCALE a), near 0 where that is below 2: relative error 2^-25.4 */
static const float tanh_pieces_f32[][16] = {
    {0x1.818ac4p-1f, 0x1.0de04p+0f, 0x1.5afc62p+0f, 0x1.a818d8p+0f, 0x1.0de1ep+1f, 0x1.5afc86p+1f, 0x1.a81824p+1f,
     0x1.f53224p+1f, 0x1.3461f4p+2f, 0x1.8121bep+2f, 0x1.c917dp+2f, 0x1.f70406p+2f, 0x0p+0f, 0x1.cea68ep-3f, 0x1.818accp-2f,
     0x1.0de128p-1f},
    {0x1.461d4ep-1f, 0x1.911e66p-1f, 0x1.c02a9ap-1f, 0x1.dc09bap-1f, 0x1.f11f14p-1f, 0x1.fb7e7ap-1f, 0x1.fea52ap-1f,
     0x1.ff97eep-1f, 0x1.ffeee4p-1f, 0x1.fffe72p-1f, 0x1.ffffd6p-1f, 0x1.fffff6p-1f, 0x0p+0f, -0x1.ed9c46p-9f,
     -0x1.13da4ep-6f, -0x1.67f67ap-5f},
    {0x1.3048aep-1f, 0x1.8b7fcp-2f, 0x1.ded5bap-3f, 0x1.1597a8p-3f, 0x1.d53272p-5f, 0x1.1f1cb2p-6f, 0x1.5a60ap-8f,
     0x1.a01dd6p-10f, 0x1.11c178p-12f, 0x1.8e052p-16f, 0x1.4fe564p-19f, 0x1.3fd3ap-21f, -0x1.fd38ap-29f, -0x1.943c4p-5f,
     -0x1.08eef4p-3f, -0x1.de1b8cp-3f},
    {-0x1.839f58p-2f, -0x1.35da28p-2f, -0x1.a32434p-3f, -0x1.0218aap-3f, -0x1.c78c64p-5f, -0x1.1c8d38p-6f, -0x1.5968f2p-8f,
     -0x1.9fb8c8p-10f, -0x1.10fb2cp-12f, -0x1.8cf374p-16f, -0x1.4f615cp-19f, -0x1.3d3394p-21f, 0x1.2e9bf8p-20f,
     -0x1.b07cbcp-3f, -0x1.40a7ccp-2f, -0x1.7b4286p-2f},
    {0x1.6035bcp-5f, 0x1.bba95cp-4f, 0x1.9e8d7cp-4f, 0x1.26e014p-4f, 0x1.1df318p-5f, 0x1.74b884p-7f, 0x1.ca1c18p-9f,
     0x1.14b4d8p-10f, 0x1.6bdd72p-13f, 0x1.08d37ap-16f, 0x1.c39572p-20f, 0x1.902bacp-22f, -0x1.5563bap-2f, -0x1.1475b2p-2f,
     -0x1.6bb186p-3f, -0x1.39a12ap-4f},
    {0x1.948b18p-4f, 0x1.102ec6p-6f, -0x1.47b736p-6f, -0x1.9697eep-6f, -0x1.f91dd2p-7f, -0x1.6c426p-8f, -0x1.cc800ap-10f,
     -0x1.187288p-11f, -0x1.85ddd2p-14f, -0x1.1bb0f4p-17f, -0x1.d9081ap-21f, -0x1.3d7046p-23f, 0x1.d53304p-11f,
     0x1.09f03ap-3f, 0x1.5739c6p-3f, 0x1.47d978p-3f},
    {-0x1.02a572p-4f, -0x1.4909fp-5f, -0x1.671d04p-7f, 0x1.11f7aap-9f, 0x1.25cb9cp-8f, 0x1.0d316ep-9f, 0x1.680cd8p-11f,
     0x1.bd9046p-13f, 0x1.36bf1ap-15f, 0x1.bfbcaap-19f, 0x1.420cdap-22f, 0x1.dfc5f2p-26f, 0x1.06b936p-3f, 0x1.535bdp-4f,
     0x1.2720b6p-6f, -0x1.17dbap-5f},
};

/* by ERF_SCALE a to the nearest integer, near 0 where that is below 2: relative error 2^-25.3 */
static const float erf_pieces_f32[][16] = {
    {0x0p+0f, 0x1.041042p-2f, 0x1.041426p-1f, 0x1.8616f6p-1f, 0x1.040faep+0f, 0x1.4518a2p+0f, 0x1.861906p+0f, 0x1.c71ae4p+0f,
     0x1.041018p+1f, 0x1.24912cp+1f, 0x1.4511ep+1f, 0x1.658848p+1f, 0x1.85defcp+1f, 0x1.a571d6p+1f, 0x1.c23354p+1f,
     0x1.d8788p+1f},
    {0x0p+0f, 0x1.b32a2ep-6f, 0x1.0e10ep-1f, 0x1.6ffdf6p-1f, 0x1.b2c804p-1f, 0x1.dae054p-1f, 0x1.f00b9ep-1f, 0x1.f9e3fp-1f,
     0x1.fdeb9ap-1f, 0x1.ff5f2p-1f, 0x1.ffd4eap-1f, 0x1.fff5c4p-1f, 0x1.fffdd6p-1f, 0x1.ffff94p-1f, 0x1.ffffeap-1f,
     0x1.fffffap-1f},
    {0x1.06eba8p-3f, 0x1.da49ap-5f, 0x1.be569cp-1f, 0x1.43506ep-1f, 0x1.9bb0fcp-2f, 0x1.ccb208p-3f, 0x1.c5493p-4f,
     0x1.88026cp-5f, 0x1.29ef02p-6f, 0x1.8e23bcp-8f, 0x1.d3b2b4p-10f, 0x1.e3c8e6p-12f, 0x1.ba9ebp-14f, 0x1.72bd8ep-16f,
     0x1.4125aep-18f, 0x1.6e83a6p-20f},
    {0x1.3afe58p-22f, -0x1.131d8ep-2f, -0x1.c571a4p-2f, -0x1.eca8c8p-2f, -0x1.a2391ep-2f, -0x1.2485ccp-2f, -0x1.595dfep-3f,
     -0x1.5c73aap-4f, -0x1.2ea95cp-5f, -0x1.c6ff8ap-7f, -0x1.28ebd6p-8f, -0x1.51c994p-10f, -0x1.50f772p-12f,
     -0x1.3113e2p-14f, -0x1.1a6a82p-16f, -0x1.517ef8p-18f},
    {-0x1.812b6p-2f, -0x1.3a898ap-2f, -0x1.20071ap-3f, 0x1.157d92p-5f, 0x1.240152p-3f, 0x1.55bb0cp-3f, 0x1.134d8cp-3f,
     0x1.5ba474p-4f, 0x1.684cc8p-5f, 0x1.397e34p-6f, 0x1.cfc24cp-8f, 0x1.265f3ep-9f, 0x1.43c0b4p-11f, 0x1.3fc354p-13f,
     0x1.3ef93ep-15f, 0x1.879be4p-17f},
    {0x1.2e82cep-12f, 0x1.0567bp-3f, 0x1.752c54p-3f, 0x1.2cd80cp-3f, 0x1.0585fep-4f, -0x1.4facf4p-7f, -0x1.772096p-5f,
     -0x1.8045cp-5f, -0x1.092ed2p-5f, -0x1.1b9056p-6f, -0x1.ede2f8p-8f, -0x1.672184p-9f, -0x1.bc3836p-11f, -0x1.e4e5cep-13f,
     -0x1.01498ap-14f, -0x1.26ea64p-16f},
    {0x1.c684cap-4f, 0x1.479bp-4f, 0x1.7797c6p-8f, -0x1.bd58fp-5f, -0x1.174db4p-4f, -0x1.6cbbd2p-5f, -0x1.943be6p-7f,
     0x1.00abf6p-7f, 0x1.ab8956p-7f, 0x1.47e5ecp-7f, 0x1.67c0fep-8f, 0x1.361b34p-9f, 0x1.b547b4p-11f, 0x1.0160f2p-12f,
     0x1.012e6ap-14f, 0x1.c4543ep-17f},
};

/* Mills' ratio, by vslot(1 + a): relative error 2^-27.5 */
static const float mills_pieces_f32[][16] = {
    {0x1.3fffccp+0f, 0x1.bffd44p+0f, 0x1.2000d8p+1f, 0x1.60005ap+1f, 0x1.bfff16p+1f, 0x1.20003p+2f, 0x1.60001ep+2f,
     0x1.a0018ep+2f, 0x1.000112p+3f, 0x1.40008cp+3f, 0x1.80001p+3f, 0x1.b9ffcap+3f, 0x1.fffe28p-4f, 0x1.80008cp-2f,
     0x1.400008p-1f, 0x1.c0017cp-1f},
    {0x1.d8990cp-3f, 0x1.7b5c6p-3f, 0x1.3aad26p-3f, 0x1.0bb93p-3f, 0x1.b397c2p-4f, 0x1.5b5a98p-4f, 0x1.201f92p-4f,
     0x1.eba43cp-5f, 0x1.9267dp-5f, 0x1.43a3p-5f, 0x1.0e7dc2p-5f, 0x1.d6c5cep-6f, 0x1.d0af54p-2f, 0x1.84b6e2p-2f,
     0x1.4b1ddep-2f, 0x1.1e7bb8p-2f},
    {-0x1.c4937p-4f, -0x1.325618p-4f, -0x1.b403f8p-5f, -0x1.432a98p-5f, -0x1.b6050ep-6f, -0x1.1be272p-6f, -0x1.8b1918p-7f,
     -0x1.21ac8ap-7f, -0x1.86b52ap-8f, -0x1.fbf122p-9f, -0x1.63cfacp-9f, -0x1.0de106p-9f, -0x1.5e6e9ep-2f, -0x1.06bf8ap-2f,
     -0x1.932346p-3f, -0x1.3bae7cp-3f},
    {0x1.7b7a2ap-5f, 0x1.bd4ab8p-6f, 0x1.15a8cap-6f, 0x1.6c5d68p-7f, 0x1.a2a112p-8f, 0x1.bfba2ep-9f, 0x1.07e3a8p-9f,
     0x1.4ea19p-10f, 0x1.76216ep-11f, 0x1.8af04ep-12f, 0x1.d0fb24p-13f, 0x1.33e062p-13f, 0x1.a4e1aep-3f, 0x1.222eeep-3f,
     0x1.9a45aap-4f, 0x1.28bde6p-4f},
    {-0x1.1f31f2p-6f, -0x1.296532p-7f, -0x1.49b774p-8f, -0x1.838e6ap-9f, -0x1.7e7a82p-10f, -0x1.55b7fp-11f, -0x1.57fc7p-12f,
     -0x1.7b5a12p-13f, -0x1.61754ep-14f, -0x1.304e82p-15f, -0x1.2ddccap-16f, -0x1.5d80f2p-17f, -0x1.b02c46p-4f,
     -0x1.15c61p-4f, -0x1.6e944ap-5f, -0x1.ef96d6p-6f},
    {0x1.8ff11ap-8f, 0x1.722454p-9f, 0x1.70c1bp-10f, 0x1.87c86cp-11f, 0x1.4fb17ep-12f, 0x1.fa366cp-14f, 0x1.b64b8ep-15f,
     0x1.a67034p-16f, 0x1.49b87ap-17f, 0x1.d0e15p-19f, 0x1.858234p-20f, 0x1.8ab91cp-21f, 0x1.89d49ep-5f, 0x1.dc1f32p-6f,
     0x1.27b87p-6f, 0x1.786ea2p-7f},
    {-0x1.0604d8p-9f, -0x1.b4f908p-11f, -0x1.89b8c2p-12f, -0x1.793368p-13f, -0x1.211f8ap-14f, -0x1.70f28p-16f,
     -0x1.13f128p-17f, -0x1.d11a42p-19f, -0x1.36d1c8p-20f, -0x1.655d4ap-22f, -0x1.f8e5c6p-24f, -0x1.b9363p-25f,
     -0x1.46285ep-6f, -0x1.7a50dcp-7f, -0x1.b3d6dcp-8f, -0x1.0e4adcp-8f},
    {0x1.3f67aap-11f, 0x1.e3ce4ap-13f, 0x1.8e5702p-14f, 0x1.5485d2p-15f, 0x1.d7fe9ap-17f, 0x1.029afcp-18f, 0x1.4d84e6p-20f,
     0x1.f309cp-22f, 0x1.1ae21p-23f, 0x1.0c76d2p-25f, 0x1.3f6888p-27f, 0x1.00929p-28f, 0x1.fdbfc2p-8f, 0x1.1c3236p-8f,
     0x1.2d8f4ap-9f, 0x1.9ff188p-10f},
};

typedef struct {
  V t, p, c;
} Piece;

static INLINE Piece piece(const float table[][16], int n, V slot, V a) {
  V t = a - vlookup(table[0], slot), p = vlookup(table[n - 1], slot);
  for (int k = n - 2; k > 1; k--) p = vfma(p, t, vlookup(table[k], slot));
  return (Piece){t, p, vlookup(table[1], slot)};
}

static INLINE V piecewise(const float table[][16], int n, V slot, V a, M near) {
  Piece y = piece(table, n, slot, a);
  return vfma(y.t, y.p, y.c) + vsel(near, a, vset(0));
}
#endif
