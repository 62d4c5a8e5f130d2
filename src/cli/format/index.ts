export { displayWidth, ellipsis } from './display-width.ts';
export { createdSince, goTimeString, humanDuration, rfc3339Seconds } from './human-duration.ts';
export { humanMemory, humanSize, parseByteSize } from './human-size.ts';
export { applyFormat, applyInspectFormat, parseFormat } from './one-format.ts';
export { type RowFormat, renderRows } from './rows.ts';
export { alignColumns } from './tab-writer.ts';
export { TemplateFailure } from './template-failure.ts';
