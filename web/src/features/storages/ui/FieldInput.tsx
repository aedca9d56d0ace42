import { NativeSelect, PasswordInput, Textarea, TextInput } from '@mantine/core';
import type { Field } from '../model';

interface Props {
  field: Field;
  value: string;
  fault?: string;
  onChange: (value: string) => void;
}

/** One field of a storage, as its kind wants it. */
export function FieldInput({ field: f, value, fault, onChange }: Props) {
  const common = { label: f.label, description: f.help, error: fault, value, withAsterisk: f.required };
  if (f.options) return <NativeSelect {...common} data={[...f.options]} value={value || f.options[0]?.value} onChange={(e) => onChange(e.currentTarget.value)} />;
  if (f.long) {
    return <Textarea {...common} placeholder={f.placeholder} autosize minRows={2} maxRows={6} onChange={(e) => onChange(e.currentTarget.value)} autoComplete="off" spellCheck={false} styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }} />;
  }
  if (f.secret) {
    return <PasswordInput {...common} onChange={(e) => onChange(e.currentTarget.value)} autoComplete="off" visibilityToggleButtonProps={{ 'aria-label': `Show ${f.label.toLowerCase()}`, tabIndex: 0 }} />;
  }
  return <TextInput {...common} placeholder={f.placeholder} onChange={(e) => onChange(e.currentTarget.value)} autoComplete="off" spellCheck={false} />;
}
