import { useState } from 'react';
import { Button, Group, NativeSelect, Stack, Textarea, TextInput } from '@mantine/core';
import type { Assertion } from '~/api/schema';
import { assertionFaults, expectOf, expectText, forms, type Form } from '../model';
import classes from './Safeguards.module.css';

interface Props {
  assertion?: Assertion;
  others: readonly string[];
  onDone: (a: Assertion) => void;
  onCancel: () => void;
}

/** A name, a question in the engine's own words, and what its answer has to be. */
export function AssertionForm({ assertion, others, onDone, onCancel }: Props) {
  const [name, setName] = useState(assertion?.name ?? '');
  const [query, setQuery] = useState(assertion?.query ?? '');
  const [expected, setExpected] = useState(() => expectOf(assertion?.expect ?? 'at least 1'));
  const [tried, setTried] = useState(false);
  const made: Assertion = { name, query: query.trim(), expect: expectText(expected.form, expected.value) };
  const wrong = tried ? assertionFaults(made, others) : {};
  const done = () => {
    setTried(true);
    if (Object.keys(assertionFaults(made, others)).length === 0) onDone(made);
  };
  return (
    <div className={classes.form} role="group" aria-label={assertion ? `Assertion ${assertion.name}` : 'New assertion'}>
      <Stack gap="sm">
        <TextInput label="Name" placeholder="orders" value={name} onChange={(e) => setName(e.currentTarget.value)} error={wrong.name} autoComplete="off" spellCheck={false} maw={320} data-autofocus />
        <Textarea label="Question" placeholder="SELECT count(*) FROM orders" value={query} onChange={(e) => setQuery(e.currentTarget.value)} error={wrong.query} autosize minRows={2} maxRows={8} spellCheck={false} styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }} />
        <Group gap="sm" align="flex-start" wrap="nowrap">
          <NativeSelect label="Its answer" data={forms.map(({ value, label }) => ({ value, label }))} value={expected.form} onChange={(e) => setExpected({ ...expected, form: e.currentTarget.value as Form })} w={200} />
          {expected.form === 'not empty' ? null : (
            <TextInput label="Expected" value={expected.value} onChange={(e) => setExpected({ ...expected, value: e.currentTarget.value })} error={wrong.expect} autoComplete="off" spellCheck={false} style={{ flex: 1 }} />
          )}
        </Group>
        <Group gap="sm" justify="flex-end">
          <Button variant="default" size="xs" onClick={onCancel}>
            Discard
          </Button>
          <Button variant="default" size="xs" onClick={done}>
            {assertion ? 'Change in the list' : 'Add to the list'}
          </Button>
        </Group>
      </Stack>
    </div>
  );
}
