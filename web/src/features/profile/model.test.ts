import { expect, it } from 'vitest';
import { browserName } from './model';

it('calls browsers what people call them', () => {
  expect(browserName('Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36')).toBe('Chrome 156 on Linux');
  expect(browserName('Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1 (KHTML, like Gecko) Version/17.5 Safari/605.1')).toBe('Safari 17 on macOS');
  expect(browserName('curl/8.0')).toBe('curl/8.0');
  expect(browserName('')).toBe('Unknown browser');
});
