import { formatPlatform, hostPlatform, type Platform, samePlatform } from '../oci/index.ts';

/** The platform's name when this machine is another one; null for its own. */
export function foreignPlatform(platform: Platform): string | null {
  return samePlatform(platform, hostPlatform()) ? null : formatPlatform(platform);
}
