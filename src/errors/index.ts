export { CairnError, type ErrorDetails, type ErrorNote, hasCode } from './cairn-error.ts';
export { type ErrorCode, errorCodes } from './codes.ts';
export { printable } from './display-text.ts';
export { type RenderOptions, renderError, renderWarning, type WarningDetails } from './render.ts';
export type { Span } from './span.ts';
