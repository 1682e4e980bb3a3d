// What MainActivity calls.
#include <jni.h>

#include "first_output.h"

JNIEXPORT jstring JNICALL Java_tenon_sample_MainActivity_firstOutput(JNIEnv* env, jclass type,
                                                                     jbyteArray model) {
  char text[1024];
  jbyte* bytes = (*env)->GetByteArrayElements(env, model, NULL);
  (void)type;
  if (!bytes) return NULL;
  first_output(bytes, (size_t)(*env)->GetArrayLength(env, model), text, sizeof text);
  (*env)->ReleaseByteArrayElements(env, model, bytes, JNI_ABORT);
  return (*env)->NewStringUTF(env, text);
}
