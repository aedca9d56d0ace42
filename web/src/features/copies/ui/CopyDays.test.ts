import { createElement } from 'react';
import { MantineProvider } from '@mantine/core';
import { renderToStaticMarkup } from 'react-dom/server';
import { expect, it } from 'vitest';
import { copyFaults } from '../model';
import { CopyDays } from './CopyDays';

const drawn = (places: string[], days: Record<string, number>, refused?: string) =>
  renderToStaticMarkup(createElement(MantineProvider, null, createElement(CopyDays, { places, days, onChange: () => {}, faults: copyFaults({ places, days, most: 90 }), refused })));

it('asks for each storage, where there is more than one', () => {
  expect(drawn(['local'], { local: 7 })).not.toContain('Keep copies');
  const html = drawn(['local', 'far'], { local: 7 });
  for (const storage of ['local', 'far']) expect(html).toContain(`Keep copies in ${storage} for`);
  expect(html).toContain('value="7 days"');
  expect(html).not.toContain('role="alert"');
});

it('says the rule, the fault of one storage, and what the server refused', () => {
  expect(drawn(['local', 'far'], { local: 7, far: 30 })).toMatch(/role="alert"[^>]*>In one storage at least/);
  const html = drawn(['local', 'far'], { local: 100 });
  expect(html).toContain('aria-invalid="true"');
  expect(html).toContain('no copy is kept longer');
  expect(drawn(['local', 'far'], { local: 7 }, 'storage far: not now')).toMatch(/role="alert"[^>]*>storage far: not now/);
});
