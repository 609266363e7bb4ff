/* NVML as far as the runtime asks it. FAKE_NVML says what it answers: " init=18 count=2 cc0=80 …". */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int number(const char *key, int otherwise) {
  const char *said = getenv("FAKE_NVML");
  char wanted[64];
  snprintf(wanted, sizeof wanted, " %s=", key);
  const char *found = said ? strstr(said, wanted) : NULL;
  return found ? atoi(found + strlen(wanted)) : otherwise;
}

static int of_gpu(const char *key, long gpu, int otherwise) {
  char name[32];
  snprintf(name, sizeof name, "%s%ld", key, gpu - 1);
  return number(name, otherwise);
}

int nvmlInit_v2(void) {
  if (number("crash", 0)) raise(SIGKILL);
  if (number("hang", 0)) sleep(60);
  return number("init", 0);
}

int nvmlShutdown(void) { return 0; }

int nvmlSystemGetDriverVersion(char *text, unsigned room) {
  snprintf(text, room, "%d.%02d.%02d", number("driver", 535), 129, 3);
  return 0;
}

int nvmlSystemGetCudaDriverVersion_v2(int *cuda) {
  *cuda = number("cuda", 12020);
  return 0;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
  *count = number("count", 1);
  return number("counting", 0);
}

/* A handle is its index plus one, so that none is null. */
int nvmlDeviceGetHandleByIndex_v2(unsigned index, long *gpu) {
  *gpu = index + 1;
  return of_gpu("handle", *gpu, 0);
}

int nvmlDeviceGetTemperature(long gpu, int sensor, unsigned *degrees) {
  *degrees = 40;
  return sensor ? 2 : of_gpu("sensor", gpu, 0);
}

int nvmlDeviceGetCudaComputeCapability(long gpu, int *major, int *minor) {
  int both = of_gpu("cc", gpu, 80);
  *major = both / 10;
  *minor = both % 10;
  return 0;
}

int nvmlDeviceGetUUID(long gpu, char *text, unsigned room) {
  snprintf(text, room, "GPU-%ld", gpu - 1);
  return 0;
}

int nvmlDeviceGetName(long gpu, char *text, unsigned room) {
  (void)gpu;
  snprintf(text, room, "NVIDIA Test GPU");
  return 0;
}

#ifndef BEFORE_MIG
int nvmlDeviceGetMigMode(long gpu, unsigned *now, unsigned *later) {
  *now = *later = of_gpu("mig", gpu, -1) >= 0;
  return of_gpu("mig", gpu, -1) == -1 ? 3 : 0;
}

int nvmlDeviceGetMaxMigDeviceCount(long gpu, unsigned *count) {
  (void)gpu;
  *count = 7;
  return 0;
}

int nvmlDeviceGetMigDeviceHandleByIndex(long gpu, unsigned index, long *slice) {
  *slice = index + 100;
  return (int)index < of_gpu("mig", gpu, 0) ? 0 : 6;
}
#endif
