/* libcuda as far as the runtime asks it. FAKE_CUDA says what it answers: " init=100 count=2". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int number(const char *key, int otherwise) {
  const char *said = getenv("FAKE_CUDA");
  char wanted[64];
  snprintf(wanted, sizeof wanted, " %s=", key);
  const char *found = said ? strstr(said, wanted) : NULL;
  return found ? atoi(found + strlen(wanted)) : otherwise;
}

int cuInit(unsigned flags) {
  if (number("crash", 0)) abort();
  return flags ? 1 : number("init", 0);
}

int cuDriverGetVersion(int *version) {
  *version = 12080;
  return 0;
}

int cuDeviceGetCount(int *count) {
  *count = number("count", 1);
  return 0;
}

int cuDeviceGet(int *gpu, int index) {
  *gpu = index + 7;
  return number("get", 0);
}

int cuDeviceGetName(char *name, int room, int gpu) {
  snprintf(name, room, number("mig", 0) ? "NVIDIA Test %d MIG 1g.10gb" : "NVIDIA Test %d", gpu - 7);
  return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int gpu) {
  *value = attribute == 16 ? 132 - gpu + 7 : attribute == 75 ? 9 : attribute == 76 ? 0 : -1;
  return 0;
}

int cuDeviceGetUuid_v2(unsigned char uuid[16], int gpu) {
  memset(uuid, gpu, 16);
  return 0;
}
