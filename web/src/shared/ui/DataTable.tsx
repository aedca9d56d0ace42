import { memo, useEffect, useLayoutEffect, useMemo, useRef, useState, type ReactNode, type RefObject } from 'react';
import { ActionIcon, Menu, Tooltip } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { IconArrowDown, IconArrowUp, IconDots, IconSelector } from '@tabler/icons-react';
import { usePreference } from '~/shared/lib/preferences';
import { pieces, usePiece, type Piece } from './chunks';
import { sorted, useFlash, useSteady, type Sort } from './table';
import { useRowKeys } from './rowKeys';
import classes from './DataTable.module.css';

export type { Sort } from './table';

export interface Column<T> {
  id: string;
  head: string;
  cell: (row: T) => ReactNode;
  /** What it is sorted by; without it the column cannot be. */
  sort?: (row: T) => string | number | null | undefined;
  number?: boolean;
  /** Least width in px. */
  width?: number;
}

export interface MenuItem {
  label: string;
  icon?: ReactNode;
  onClick: () => void;
  /** Why the state forbids it: shown, disabled, with the reason. */
  blocked?: string;
  danger?: boolean;
  /** A line above it. */
  divided?: boolean;
}

interface Props<T> {
  /** Names the table for who does not see it. */
  caption: string;
  rows: readonly T[];
  columns: readonly Column<T>[];
  id: (row: T) => string;
  name: (row: T) => string;
  /** The whole row opens it; the name inside is the link or button. */
  onOpen?: (row: T) => void;
  menu?: (row: T) => MenuItem[];
  sort?: Sort;
  onSort?: (sort: Sort) => void;
  /** The order where nothing was chosen. */
  order?: (a: T, b: T) => number;
  /** Two lines, for a narrow screen. */
  card: (row: T) => ReactNode;
  /** A change of this makes the row flash. */
  flashOn?: (row: T) => string;
  /** Rows to act on together. */
  chosen?: ReadonlySet<string>;
  onChoose?: (ids: ReadonlySet<string>) => void;
  /** Key under which left-out columns are kept. */
  table: string;
}

export function DataTable<T>(props: Props<T>) {
  const { rows, id, sort, columns, order } = props;
  const small = useMediaQuery('(max-width: 767px)') ?? false;
  // What a column sorts by is the same each time, though the columns are made anew.
  // oxlint-disable-next-line react/exhaustive-deps
  const wanted = useMemo(() => sorted(rows, columns, sort, order), [rows, sort?.by, sort?.down]);
  const steady = useSteady(wanted, id, `${sort?.by} ${sort?.down}`);
  const { shown, waiting, hold, release } = steady;
  const flashing = useFlash(shown, id, props.flashOn);
  const place = useRef<HTMLDivElement>(null);
  const keys = useRowKeys(place, (key) => {
    const row = shown.find((r) => id(r) === key);
    return row ? { open: () => props.onOpen?.(row), choose: () => choose(props, row) } : undefined;
  });
  return (
    // The keys walk the rows, which take the focus one by one.
    // oxlint-disable-next-line jsx-a11y/no-static-element-interactions
    <div
      ref={place}
      onPointerEnter={hold}
      onPointerLeave={release}
      onFocus={hold}
      onBlur={(event) => event.currentTarget.contains(event.relatedTarget) || release()}
      onKeyDown={keys}
    >
      {waiting > 0 ? (
        <div className={classes.waiting} role="status">
          {waiting} new,{' '}
          <button type="button" className={classes.link} onClick={release}>
            Show
          </button>
        </div>
      ) : null}
      {small ? <Cards {...props} rows={shown} /> : <Rows {...props} rows={shown} flashing={flashing} />}
    </div>
  );
}

function choose<T>({ chosen, onChoose, id }: Props<T>, row: T) {
  if (!onChoose) return;
  const next = new Set(chosen);
  if (!next.delete(id(row))) next.add(id(row));
  onChoose(next);
}

/** What rows do is asked for when it is done: a row is drawn anew when it changes, not when its table is. */
function useActs<T>(props: Props<T>): RefObject<Props<T>> {
  const acts = useRef(props);
  useEffect(() => {
    acts.current = props;
  });
  return acts;
}

function Rows<T>(props: Props<T> & { flashing: ReadonlySet<string> }) {
  const { caption, columns, rows, id, menu, onOpen, chosen, onChoose, table, flashing } = props;
  const hidden = usePreference('hidden')[table];
  const compact = usePreference('compact');
  const acts = useActs(props);
  const shown = useMemo(() => columns.filter((c) => !hidden?.includes(c.id)), [columns, hidden]);
  const cut = useMemo(() => pieces(rows), [rows]);
  const head = useSteadyWidths(cut.length > 1, `${shown.map((c) => c.id).join(' ')} ${compact}`);
  const span = shown.length + Number(Boolean(menu)) + Number(Boolean(onChoose));
  return (
    <div className={classes.scroll} role="region" aria-label={caption} tabIndex={0}>
      <table className={classes.table} data-compact={compact || undefined} aria-rowcount={cut.length > 1 ? rows.length + 1 : undefined}>
        <caption className="ms-visually-hidden">{caption}</caption>
        <thead>
          <tr ref={head} aria-rowindex={cut.length > 1 ? 1 : undefined}>
            {onChoose ? (
              <th className={classes.choose}>
                <span className="ms-visually-hidden">Chosen</span>
              </th>
            ) : null}
            {shown.map((column) => (
              <Head key={column.id} column={column} {...props} />
            ))}
            {menu ? (
              <th className={classes.menu}>
                <span className="ms-visually-hidden">Actions</span>
              </th>
            ) : null}
          </tr>
        </thead>
        {cut.map((piece) => (
          <Body key={piece.start} piece={piece} whole={cut.length === 1} row={compact ? 33 : 41} span={span}>
            {(row, place) => (
              <Row
                key={id(row)}
                row={row}
                place={cut.length > 1 ? place + 2 : undefined}
                columns={shown}
                acts={acts}
                opens={Boolean(onOpen)}
                menu={Boolean(menu)}
                chosen={onChoose ? (chosen?.has(id(row)) ?? false) : undefined}
                flash={flashing.has(id(row))}
              />
            )}
          </Body>
        ))}
      </table>
    </div>
  );
}

interface PieceProps<T> {
  piece: Piece<T>;
  whole: boolean;
  /** How high a row is, where it was not drawn yet. */
  row: number;
  children: (row: T, place: number) => ReactNode;
}

function Body<T>({ piece, whole, row, span, children }: PieceProps<T> & { span: number }) {
  const { place, drawn, height } = usePiece<HTMLTableSectionElement>(piece.first, whole, piece.rows.length * row);
  return (
    <tbody ref={place} aria-hidden={drawn ? undefined : true}>
      {drawn ? (
        piece.rows.map((r, n) => children(r, piece.start + n))
      ) : (
        <tr className={classes.far}>
          {/* Room for rows, and nothing that could be named. */}
          {/* oxlint-disable-next-line jsx-a11y/control-has-associated-label */}
          <td colSpan={span} style={{ height }} />
        </tr>
      )}
    </tbody>
  );
}

/** Of a long list other rows are drawn from time to time: its columns keep the widths they began with, where what is in them fits. */
function useSteadyWidths(long: boolean, reason: string) {
  const head = useRef<HTMLTableRowElement>(null);
  useLayoutEffect(() => {
    const cells = [...(head.current?.cells ?? [])];
    if (!long || !reason) return;
    const widths = cells.map((cell) => cell.offsetWidth);
    cells.forEach((cell, n) => {
      cell.style.width = `${widths[n]}px`;
    });
    return () => {
      for (const cell of cells) cell.style.width = '';
    };
  }, [long, reason]);
  return head;
}

interface RowProps<T> {
  row: T;
  /** Where it stands, where not all are drawn. */
  place?: number;
  columns: readonly Column<T>[];
  acts: RefObject<Props<T>>;
  opens: boolean;
  menu: boolean;
  /** Undefined where none can be. */
  chosen?: boolean;
  flash: boolean;
}

const Row = memo(function Row<T>({ row, place, columns, acts, opens, menu, chosen, flash }: RowProps<T>) {
  const { id, name } = acts.current;
  return (
    <tr
      data-row={id(row)}
      aria-rowindex={place}
      tabIndex={-1}
      data-flash={flash || undefined}
      data-open={opens || undefined}
      onClick={(event) => !isControl(event.target) && acts.current.onOpen?.(row)}
    >
      {chosen === undefined ? null : (
        <td className={classes.choose}>
          <input type="checkbox" aria-label={`Choose ${name(row)}`} checked={chosen} onChange={() => choose(acts.current, row)} />
        </td>
      )}
      {columns.map((column, n) => {
        const Cell = n === 0 ? 'th' : 'td';
        return (
          <Cell key={column.id} scope={n === 0 ? 'row' : undefined} className={column.number ? classes.number : undefined}>
            {column.cell(row)}
          </Cell>
        );
      })}
      {menu ? (
        <td className={classes.menu}>
          <RowMenu name={name(row)} items={() => acts.current.menu?.(row) ?? []} />
        </td>
      ) : null}
    </tr>
  );
}) as <T>(props: RowProps<T>) => ReactNode;

/** A click on a control inside the row is that control's. */
function isControl(target: EventTarget): boolean {
  return target instanceof Element && target.closest('a, button, input, select, label, [role="menu"], [role="menuitem"]') !== null;
}

function Head<T>({ column, sort, onSort }: Props<T> & { column: Column<T> }) {
  const by = sort?.by === column.id;
  const Icon = by ? (sort.down ? IconArrowDown : IconArrowUp) : IconSelector;
  return (
    <th
      scope="col"
      className={column.number ? classes.number : undefined}
      style={{ minWidth: column.width }}
      aria-sort={by ? (sort.down ? 'descending' : 'ascending') : undefined}
    >
      {column.sort && onSort ? (
        <button type="button" className={classes.sort} onClick={() => onSort({ by: column.id, down: by ? !sort.down : false })}>
          {column.head}
          <Icon size={12} stroke={1.75} aria-hidden className={by ? undefined : classes.unsorted} />
        </button>
      ) : (
        column.head
      )}
    </th>
  );
}

function Cards<T>({ caption, rows, id, name, menu, onOpen, card }: Props<T>) {
  const cut = useMemo(() => pieces(rows), [rows]);
  const whole = cut.length === 1;
  return (
    <div role="list" className={classes.cards} aria-label={caption}>
      {cut.map((piece) => (
        <Pile key={piece.start} piece={piece} whole={whole} row={78}>
          {(row, place) => (
            // The name inside is the link; the click on the rest is a convenience for fingers.
            // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/no-noninteractive-element-interactions
            <div
              key={id(row)}
              role="listitem"
              aria-setsize={whole ? undefined : rows.length}
              aria-posinset={whole ? undefined : place + 1}
              data-row={id(row)}
              className={classes.card}
              onClick={(event) => onOpen && !isControl(event.target) && onOpen(row)}
            >
              <div className={classes.cardText}>{card(row)}</div>
              {menu ? <RowMenu name={name(row)} items={() => menu(row)} /> : null}
            </div>
          )}
        </Pile>
      ))}
    </div>
  );
}

function Pile<T>({ piece, whole, row, children }: PieceProps<T>) {
  const { place, drawn, height } = usePiece<HTMLDivElement>(piece.first, whole, piece.rows.length * row);
  return (
    <div ref={place} role="presentation" className={classes.pile} style={drawn ? undefined : { height }}>
      {drawn ? piece.rows.map((r, n) => children(r, piece.start + n)) : null}
    </div>
  );
}

export function RowMenu({ name, items }: { name: string; items: () => MenuItem[] }) {
  const [opened, setOpened] = useState(false);
  return (
    <Menu opened={opened} onChange={setOpened} withinPortal>
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" size={28} aria-label={`More actions for ${name}`} data-row-menu>
          <IconDots size={16} stroke={1.75} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>{opened ? items().map((item) => <Item key={item.label} item={item} />) : null}</Menu.Dropdown>
    </Menu>
  );
}

export function Item({ item }: { item: MenuItem }) {
  const entry = (
    <Menu.Item
      leftSection={item.icon}
      onClick={item.blocked ? undefined : item.onClick}
      aria-disabled={item.blocked ? true : undefined}
      data-disabled={item.blocked ? true : undefined}
      closeMenuOnClick={!item.blocked}
      c={item.danger && !item.blocked ? 'var(--ms-bad-text-ink)' : undefined}
    >
      {item.label}
      {item.blocked ? <span className={classes.blocked}>{item.blocked}</span> : null}
    </Menu.Item>
  );
  return (
    <>
      {item.divided ? <Menu.Divider /> : null}
      {item.blocked ? <Tooltip label={item.blocked}>{entry}</Tooltip> : entry}
    </>
  );
}
