package tenon.sample;

import android.app.Activity;
import android.os.Bundle;
import android.widget.TextView;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;

/** Runs the model among its assets on zeros and shows the first output, or what was wrong. */
public final class MainActivity extends Activity {
  static {
    System.loadLibrary("sample");
  }

  private static native String firstOutput(byte[] model);

  @Override
  protected void onCreate(Bundle state) {
    super.onCreate(state);
    TextView view = new TextView(this);
    setContentView(view);
    try (InputStream file = getAssets().open("model.tflite")) {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      byte[] part = new byte[1 << 16];
      for (int count; (count = file.read(part)) > 0; ) bytes.write(part, 0, count);
      view.setText(firstOutput(bytes.toByteArray()));
    } catch (IOException error) {
      view.setText(error.toString());
    }
  }
}
