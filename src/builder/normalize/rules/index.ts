import type { NormalizeRule } from '../contracts.ts';
import { apkScriptsRule } from './apk-scripts.ts';
import { aptCacheRule } from './apt-cache.ts';
import { aptLogsRule } from './apt-logs.ts';
import { autom4teCacheRule } from './autom4te-cache.ts';
import { debconfBackupsRule } from './debconf-backups.ts';
import { dnfStateRule } from './dnf-state.ts';
import { dpkgLogsRule } from './dpkg-logs.ts';
import { fontconfigCacheRule } from './fontconfig-cache.ts';
import { gitIndexRule } from './git-index.ts';
import { gitReflogRule } from './git-reflog.ts';
import { gnupgSeedRule } from './gnupg-seed.ts';
import { javaCacertsRule } from './java-cacerts.ts';
import { ldconfigCacheRule } from './ldconfig-cache.ts';
import { machineIdRule } from './machine-id.ts';
import { npmCacheRule } from './npm-cache.ts';
import { packageLogsRule } from './package-logs.ts';
import { pipCacheRule } from './pip-cache.ts';
import { pythonBytecodeRule } from './python-bytecode.ts';
import { shadowDatesRule } from './shadow-dates.ts';
import { uvCacheRule } from './uv-cache.ts';
import { wgetHstsRule } from './wget-hsts.ts';
import { yarnCacheRule } from './yarn-cache.ts';

/** Part of the cache key of every RUN: raised with each change of what the rules do. */
export const normalizeVersion = 1;

/** All rules; a path is treated by the first one that has something to do there. */
export const rules: readonly NormalizeRule[] = [
  apkScriptsRule,
  aptCacheRule,
  aptLogsRule,
  autom4teCacheRule,
  debconfBackupsRule,
  dnfStateRule,
  dpkgLogsRule,
  fontconfigCacheRule,
  gitIndexRule,
  gitReflogRule,
  gnupgSeedRule,
  javaCacertsRule,
  ldconfigCacheRule,
  machineIdRule,
  npmCacheRule,
  packageLogsRule,
  pipCacheRule,
  pythonBytecodeRule,
  shadowDatesRule,
  uvCacheRule,
  wgetHstsRule,
  yarnCacheRule,
];
