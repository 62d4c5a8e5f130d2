export { evaluateTemplate } from './evaluate-template.ts';
export { formatFunctions, headerFunctions } from './functions.ts';
export { marshalJson } from './marshal-json.ts';
export { type ParsedTemplate, parseTemplate } from './parse-template.ts';
export { TemplateExecError, TemplateParseError } from './template-error.ts';
export {
  GoDuration,
  type GoField,
  GoMap,
  GoNil,
  GoStruct,
  GoTime,
  type GoValue,
  keySet,
  stringMap,
  stringSlice,
} from './value.ts';
