"""tf.image: colours, boxes, and pictures that went through JPEG."""
from tenon import _tenon, raw_ops
from tenon.tf import arrays, linalg, random
from tenon.tf.image import convert_image_dtype

# Of TensorFlow: rows are the parts of a colour in one space, columns those in the other.
_RGB_TO_YIQ = [[0.299, 0.59590059, 0.2115], [0.587, -0.27455667, -0.52273617], [0.114, -0.32134392, 0.31119955]]
_YIQ_TO_RGB = [[1, 1, 1], [0.95598634, -0.27201283, -1.10674021], [0.6208248, -0.64720424, 1.70423049]]
_RGB_TO_YUV = [[0.299, -0.14714119, 0.61497538], [0.587, -0.28886916, -0.51496512], [0.114, 0.43601035, -0.10001026]]
_YUV_TO_RGB = [[1, 1, 1], [0, -0.394642334, 2.03206185], [1.13988303, -0.58062185, 0]]


def _colours(matrix):
    def change(images, name=None):
        images = _tenon.convert(images)
        kernel = _tenon.convert(matrix, images.dtype)
        return linalg.tensordot(images, kernel, [[images.shape.rank - 1], [0]])
    return change


rgb_to_yiq, yiq_to_rgb, rgb_to_yuv, yuv_to_rgb = map(_colours, (_RGB_TO_YIQ, _YIQ_TO_RGB, _RGB_TO_YUV, _YUV_TO_RGB))


def _scalar(value, dtype="float32"):
    return _tenon.convert(value, None if hasattr(value, "dtype") else dtype)


def non_max_suppression_with_scores(boxes, scores, max_output_size, iou_threshold=0.5, score_threshold=float("-inf"),
                                    soft_nms_sigma=0.0, name=None):
    """The boxes that are kept and their scores, which soft_nms_sigma lowers for boxes that overlap better ones."""
    found = raw_ops.NonMaxSuppressionV5(
        boxes=boxes, scores=scores, max_output_size=max_output_size, iou_threshold=_scalar(iou_threshold),
        score_threshold=_scalar(score_threshold), soft_nms_sigma=_scalar(soft_nms_sigma), pad_to_max_output_size=False)
    return found.selected_indices, found.selected_scores


def non_max_suppression_padded(boxes, scores, max_output_size, iou_threshold=0.5, score_threshold=float("-inf"),
                               pad_to_max_output_size=False, name=None, sorted_input=False, canonicalized_coordinates=False,
                               tile_size=512):
    """The boxes that are kept, with zeros up to the most that there may be, and how many they are."""
    boxes = _tenon.convert(boxes)
    if boxes.shape.rank != 2:
        raise NotImplementedError("non_max_suppression_padded takes one picture's boxes, of rank 2.")
    found = raw_ops.NonMaxSuppressionV4(
        boxes=boxes, scores=scores, max_output_size=max_output_size, iou_threshold=_scalar(iou_threshold),
        score_threshold=_scalar(score_threshold), pad_to_max_output_size=pad_to_max_output_size)
    return found.selected_indices, found.valid_outputs


def non_max_suppression_overlaps(overlaps, scores, max_output_size, overlap_threshold=0.5, score_threshold=float("-inf"),
                                 name=None):
    return raw_ops.NonMaxSuppressionWithOverlaps(
        overlaps=overlaps, scores=scores, max_output_size=max_output_size, overlap_threshold=_scalar(overlap_threshold),
        score_threshold=_scalar(score_threshold))


def combined_non_max_suppression(boxes, scores, max_output_size_per_class, max_total_size, iou_threshold=0.5,
                                 score_threshold=float("-inf"), pad_per_class=False, clip_boxes=True, name=None):
    return raw_ops.CombinedNonMaxSuppression(
        boxes=_tenon.convert(boxes), scores=_tenon.convert(scores), max_output_size_per_class=max_output_size_per_class,
        max_total_size=max_total_size, iou_threshold=_scalar(iou_threshold), score_threshold=_scalar(score_threshold),
        pad_per_class=pad_per_class, clip_boxes=clip_boxes)


def extract_glimpse(input, size, offsets, centered=True, normalized=True, noise="uniform", name=None):  # noqa: A002
    return raw_ops.ExtractGlimpseV2(input=_tenon.convert(input), size=size, offsets=offsets, centered=centered,
                                    normalized=normalized, uniform_noise=False, noise=noise)


def adjust_jpeg_quality(image, jpeg_quality, dct_method="", name=None):
    """The picture after it has been a JPEG of that quality."""
    from tenon.tf import io
    image = _tenon.convert(image)
    small = convert_image_dtype(image, "uint8", saturate=True)
    if isinstance(jpeg_quality, (_tenon.Tensor, _tenon.VariableBase)):
        contents = raw_ops.EncodeJpegVariableQuality(images=small, quality=jpeg_quality)
    else:
        contents = io.encode_jpeg(small, quality=int(jpeg_quality))
    channels = image.shape[-1] or 0
    return convert_image_dtype(io.decode_jpeg(contents, channels=channels, dct_method=dct_method), image.dtype, saturate=True)


def random_jpeg_quality(image, min_jpeg_quality, max_jpeg_quality, seed=None):
    quality = random.uniform([], min_jpeg_quality, max_jpeg_quality, "int32", seed)
    return adjust_jpeg_quality(image, quality)


def stateless_random_jpeg_quality(image, min_jpeg_quality, max_jpeg_quality, seed):
    quality = random.stateless_uniform([], seed, min_jpeg_quality, max_jpeg_quality, "int32")
    return adjust_jpeg_quality(image, quality)


def _distorted(op, image_size, bounding_boxes, min_object_covered, aspect_ratio_range, area_range, max_attempts,
               use_image_if_no_bounding_boxes, **seeds):
    return op(image_size=_tenon.convert(image_size), bounding_boxes=_tenon.convert(bounding_boxes),
              min_object_covered=_scalar(min_object_covered), aspect_ratio_range=list(aspect_ratio_range or (0.75, 1.33)),
              area_range=list(area_range or (0.05, 1.0)), max_attempts=max_attempts or 100,
              use_image_if_no_bounding_boxes=bool(use_image_if_no_bounding_boxes), **seeds)


def sample_distorted_bounding_box(image_size, bounding_boxes, seed=0, min_object_covered=0.1, aspect_ratio_range=None,
                                  area_range=None, max_attempts=None, use_image_if_no_bounding_boxes=None, name=None):
    """(begin, size, box) of a part of the picture to be cut out."""
    first, second = random._seeds(seed or None)
    return _distorted(raw_ops.SampleDistortedBoundingBoxV2, image_size, bounding_boxes, min_object_covered, aspect_ratio_range,
                      area_range, max_attempts, use_image_if_no_bounding_boxes, seed=first, seed2=second)


def stateless_sample_distorted_bounding_box(image_size, bounding_boxes, seed, min_object_covered=0.1, aspect_ratio_range=None,
                                            area_range=None, max_attempts=None, use_image_if_no_bounding_boxes=None, name=None):
    return _distorted(raw_ops.StatelessSampleDistortedBoundingBox, image_size, bounding_boxes, min_object_covered,
                      aspect_ratio_range, area_range, max_attempts, use_image_if_no_bounding_boxes, seed=_tenon.convert(seed))
