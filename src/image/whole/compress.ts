import type { BlobReader, BlobWriter } from '../../store/types.js';
import type { ArchiveDescriptor, Frame, Whole } from '../archive.js';
import { FrameReader } from '../archive-index.js';
import type { SegmentCounts } from '../segment-writer.js';
import { writeSquashfs } from '../squashfs/write.js';
import { compressWhole } from './codecs.js';

/** What compressing a frame whole takes. */
export interface WholeTools {
  readonly blobs: BlobReader;
  readonly writer: BlobWriter;
  readonly counts: SegmentCounts;
  readonly earlier: readonly ArchiveDescriptor[]; // where the same frame may have been compressed before
}

/**
 * `frame` with its segments compressed as one stream of `codec`. The segments are sealed, so that they can be read back.
 * Throws ImageError MISSING_TOOL, TOOL_FAILED.
 */
export async function withWhole(frame: Frame, codec: Whole['codec'], tools: WholeTools): Promise<Frame> {
  const { blobs, writer, counts, earlier } = tools;
  const known = earlier
    .flatMap(({ frames }) => frames)
    .find(
      (other) =>
        other.whole?.codec === codec && haveSameSegments(other, frame) && haveSameHead(other, frame, codec),
    );
  if (known?.whole !== undefined) return { ...frame, whole: known.whole };
  await writer.seal();
  const plain = frame.segments.reduce((sum, segment) => sum + segment.plain, 0);
  const source = new FrameReader(frame, blobs).read(0, plain);
  const head = codec === 'squashfs' ? frame.whole?.head : undefined;
  const stream =
    codec !== 'squashfs' ? compressWhole(codec, source) : writeSquashfs(source, head ?? Buffer.alloc(0));
  const { digest, size } = await writer.putStream(stream);
  counts.wholes.push({ codec, plain });
  const whole = { codec, streams: [{ blob: digest, size }] };
  return { ...frame, whole: head === undefined ? whole : { ...whole, head } };
}

/** `frame`, compressed whole again if that is what it is served as. */
export const compressAgain = (frame: Frame, tools: WholeTools): Promise<Frame> =>
  frame.whole === undefined ? Promise.resolve(frame) : withWhole(frame, frame.whole.codec, tools);

/** Whether two frames that become squashfs images would be made alike. */
function haveSameHead(a: Frame, b: Frame, codec: Whole['codec']): boolean {
  const [one, other] = [a.whole?.head, b.whole?.head];
  return codec !== 'squashfs' || one === other || (one !== undefined && other?.equals(one) === true);
}

function haveSameSegments(a: Frame, b: Frame): boolean {
  return (
    a.codec === b.codec &&
    a.segments.length === b.segments.length &&
    a.segments.every(({ blob }, at) => blob === b.segments[at]?.blob)
  );
}
