#include "wav.h"

#include <string.h>

static uint32_t number(const uint8_t* bytes, int count) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i) value |= (uint32_t)bytes[i] << 8 * i;
  return value;
}

static int fail(Wav* wav, const char* error) {
  snprintf(wav->error, sizeof(wav->error), "%s", error);
  return 0;
}

static int skip(FILE* file, uint32_t bytes) {
  while (bytes > 0 && getc(file) != EOF) --bytes;
  return bytes == 0;
}

static int read_format(Wav* wav, uint32_t size) {
  uint8_t format[40] = {0};
  const uint32_t known = size < sizeof(format) ? size : sizeof(format);
  if (size < 16 || fread(format, 1, known, wav->file) != known ||
      !skip(wav->file, size - known + size % 2)) {
    return fail(wav, "the WAV header is cut short");
  }
  uint32_t kind = number(format, 2);
  if (kind == 0xfffe && size >= 26) kind = number(format + 24, 2); /* WAVE_FORMAT_EXTENSIBLE */
  wav->channels = (int)number(format + 2, 2);
  wav->rate = (int)number(format + 4, 4);
  wav->bits = (int)number(format + 14, 2);
  if (kind != 1 || (wav->bits != 8 && wav->bits != 16) ||
      (wav->channels != 1 && wav->channels != 2)) {
    snprintf(wav->error, sizeof(wav->error),
             "format %u of %d bits in %d channels; PCM of 8 or 16 bits in 1 or 2 is read", kind,
             wav->bits, wav->channels);
    return 0;
  }
  return 1;
}

int wav_open(Wav* wav, FILE* file) {
  memset(wav, 0, sizeof(*wav));
  wav->file = file;
  uint8_t head[12];
  const size_t got = fread(head, 1, sizeof(head), file);
  if (got == 0) return fail(wav, "it is empty");
  if (memcmp(head, "RIFF", got < 4 ? got : 4) != 0) return fail(wav, "it is no WAV file");
  if (got < sizeof(head)) return fail(wav, "the WAV header is cut short");
  if (memcmp(head + 8, "WAVE", 4) != 0) return fail(wav, "it is no WAV file");
  while (fread(head, 1, 8, file) == 8) {
    const uint32_t size = number(head + 4, 4);
    if (memcmp(head, "data", 4) == 0) {
      if (wav->rate == 0) return fail(wav, "its samples come before their format");
      wav->left = size;
      wav->endless = size == 0 || size >= 0x7ffff000; /* what programs write into a pipe */
      return 1;
    }
    if (memcmp(head, "fmt ", 4) == 0) {
      if (!read_format(wav, size)) return 0;
    } else if (!skip(file, size) || (size % 2 && !skip(file, 1))) {
      break;
    }
  }
  return fail(wav, "the WAV header is cut short");
}

int wav_read(Wav* wav, float* samples, int count) {
  const int width = wav->bits / 8 * wav->channels;
  for (int i = 0; i < count; ++i) {
    uint8_t bytes[4];
    if (!wav->endless && wav->left < (uint32_t)width) return i;
    if (fread(bytes, 1, (size_t)width, wav->file) != (size_t)width) {
      if (!wav->endless) fail(wav, "it ends before all its samples");
      return i;
    }
    wav->left -= wav->endless ? 0 : (uint32_t)width;
    float sum = 0;
    for (int c = 0; c < wav->channels; ++c) {
      sum += wav->bits == 8 ? (float)(bytes[c] - 128) / 128
                            : (float)(int16_t)number(bytes + 2 * c, 2) / 32768;
    }
    samples[i] = sum / (float)wav->channels;
  }
  return count;
}
