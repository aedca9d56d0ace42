import { expect, it } from 'vitest';
import type { Storage } from '~/api/schema';
import { limitsBody, limitsDraft, limitsFaults } from './limits';

const storage = (bandwidth: number | null, parallel: number | null) => ({ bandwidth, parallel }) as Storage;

it('types megabytes a second, and sends bytes', () => {
  expect(limitsDraft(storage(12_500_000, 2))).toEqual({ bandwidth: 12.5, parallel: 2 });
  expect(limitsBody({ bandwidth: '12.5', parallel: '' })).toEqual({ bandwidth: 12_500_000, parallel: null });
  expect(limitsBody({ bandwidth: '', parallel: 2 }, false)).toEqual({ parallel: 2 });
  expect(limitsBody(limitsDraft(storage(null, null)))).toEqual({ bandwidth: null, parallel: null });
});

it('says what cannot be', () => {
  expect(Object.keys(limitsFaults({ bandwidth: 0.01, parallel: 0 }))).toEqual(['bandwidth', 'parallel']);
  expect(limitsFaults({ bandwidth: '', parallel: 3 })).toEqual({});
});
