import react from '@vitejs/plugin-react';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/**
 * The development server passes `/api` on to a running `mainstay up`. With MAINSTAY_TOKEN_FILE it signs
 * each request with that token, so that the page can be worked on without signing in.
 */
const server = process.env.MAINSTAY_SERVER ?? 'http://127.0.0.1:8420';
const file = process.env.MAINSTAY_TOKEN_FILE;
const headers = file ? { authorization: `Bearer ${readFileSync(file, 'utf8').trim()}` } : undefined;
const passed = { target: server, changeOrigin: true, ws: true, headers };
// The server refuses changes from another origin, and the page's origin is this server's.
const proxy = {
  '/api': {
    ...passed,
    configure: (p: { on(event: 'proxyReq', run: (request: { removeHeader(name: string): void }) => void): void }) =>
      p.on('proxyReq', (request) => request.removeHeader('origin')),
  },
};

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { '~': fileURLToPath(new URL('./src', import.meta.url)) } },
  server: { proxy, host: '127.0.0.1' },
  preview: { proxy, host: '127.0.0.1' },
  build: { target: 'es2023', assetsInlineLimit: 0, chunkSizeWarningLimit: 900, modulePreload: { polyfill: false } },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
