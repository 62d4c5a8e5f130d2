import type { Span } from '../errors/index.ts';
import type { SourceText } from './source-text.ts';

/** A piece of a logical line: from `offset` in the joined text on, it comes from `line` and `column` on. */
interface Segment {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
}

/** One instruction's text with its continuations joined, able to say where each character came from. */
export class LogicalLine {
  readonly source: SourceText;
  readonly text: string;
  readonly comments: readonly string[];
  private readonly segments: readonly Segment[];

  constructor(
    source: SourceText,
    parts: { text: string; segments: readonly Segment[]; comments: readonly string[] },
  ) {
    this.source = source;
    this.text = parts.text;
    this.segments = parts.segments;
    this.comments = parts.comments;
  }

  /** The span of the characters from `start` up to `end` (exclusive). */
  span(start: number, end: number): Span {
    const from = this.segmentAt(start);
    const to = end > start ? this.segmentAt(end - 1) : from;
    return this.source.span(
      from.line,
      from.column + start - from.offset,
      to.line,
      to.column + Math.max(end, start + 1) - to.offset,
    );
  }

  /** The last segment that starts at or before `offset`. */
  private segmentAt(offset: number): Segment {
    let low = 0;
    let high = this.segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.segments[middle]!.offset <= offset) low = middle;
      else high = middle - 1;
    }
    return this.segments[low]!;
  }
}

export type { Segment };
