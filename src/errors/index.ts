export { CairnError, type ErrorDetails, type ErrorNote, hasCode } from './cairn-error.ts';
export { type ErrorCode, errorCodes } from './codes.ts';
export type { Span } from './span.ts';
