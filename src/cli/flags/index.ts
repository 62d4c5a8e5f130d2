export { closestName } from './closest-name.ts';
export { flagHelp } from './flag-help.ts';
export { type FlagSpec, FlagValues } from './flag-spec.ts';
export { parseCsv, parseKeyValues } from './parse-csv.ts';
export { FlagError, invalidArgument, type ParsedArguments, parseFlags } from './parse-flags.ts';
