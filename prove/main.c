/* prover.c as a program, to be built with the kernels for a machine that is emulated:
 *   main ISA ORACLE ROW FIRST COUNT STRIDE PARAMETERS parameter... root...
 * prints what was counted as a line of JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "prover.c"

static void print_tally(const Tally *t) {
  printf(
      "{\"max_ulp\": %.17g, \"at\": \"%a\", \"got\": \"%a\", \"nan_at\": \"%a\", \"sign_at\": \"%a\", \"over_1\": %" PRIu64
      ", \"nan_faults\": %" PRIu64 ", \"sign_faults\": %" PRIu64 "}",
      t->max_ulp, t->at, t->got, t->nan_at, t->sign_at, t->over_1, t->nan_faults, t->sign_faults);
}

int main(int argc, char **argv) {
  if (argc < 8 || fastact_select(argv[1]) != 0) return 2;
  Run run = {.kernels = fastact_active(), .tally = {{.max_ulp = -1}, {.max_ulp = -1}}};
  Proof proof = {.oracle = argv[2], .row = atoi(argv[3]), .runs = 1, .run = &run, .block = BLOCK};
  proof.first = strtoull(argv[4], NULL, 0);
  proof.count = strtoull(argv[5], NULL, 0);
  proof.stride = strtoull(argv[6], NULL, 0);
  proof.parameters = atoi(argv[7]);
  for (int k = 0; k < proof.parameters; k++) {
    proof.parameter[k] = strtof(argv[8 + k], NULL);
    proof.oracle_parameter[k] = proof.parameter[k];
  }
  proof.roots = argc - 8 - proof.parameters;
  for (int k = 0; k < proof.roots; k++) proof.root[k] = strtod(argv[8 + proof.parameters + k], NULL);
  if (prove(&proof) != 0) return 2;
  printf("{\"tally\": [");
  print_tally(&run.tally[0]);
  printf(", ");
  print_tally(&run.tally[1]);
  printf("], \"flag_faults\": %" PRIu64 ", \"flag_block\": %" PRIu32 ", \"spurious\": %" PRId32 ", \"missing\": %" PRId32
         "}\n",
         run.flag_faults, run.flag_block, run.spurious, run.missing);
  return 0;
}
