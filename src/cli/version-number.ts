/** Cairn's own version: package.json's, which a test compares. */
export const cairnVersion = '0.1.0';
