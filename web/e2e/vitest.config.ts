import { defineConfig } from 'vitest/config';

/** The real binary, real engines and Debian's Chromium, one after another. */
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['all.test.ts', 'whole.test.ts'],
    environment: 'node',
    testTimeout: 240_000,
    hookTimeout: 240_000,
    fileParallelism: false,
    bail: process.env.BAIL ? 1 : 0,
    reporters: ['verbose'],
  },
});
