package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
)

// entry is what a guest wrote.
type entry struct {
	When time.Time `json:"when"`
	Who  string    `json:"who"`
	Text string    `json:"text"`
	Via  string    `json:"via"` // the instance that took it
}

// book is the guestbook: entries in PostgreSQL, hits in Redis. Both may come and
// go: every call connects anew if it has to.
type book struct {
	db      *pgxpool.Pool
	counter *redis.Client

	mu    sync.Mutex // guards table
	table bool       // exists, as far as this process knows
}

func openBook(database, counter string) (*book, error) {
	db, err := pgxpool.New(context.Background(), database) // connects when first used
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	return &book{db: db, counter: redis.NewClient(&redis.Options{Addr: counter, DialTimeout: 2 * time.Second})}, nil
}

func (b *book) close() {
	b.db.Close()
	_ = b.counter.Close() // nothing is left to lose
}

// hit counts a visit.
func (b *book) hit(ctx context.Context) (int64, error) {
	n, err := b.counter.Incr(ctx, "hits").Result()
	if err != nil {
		return 0, fmt.Errorf("count the hit: %w", err)
	}
	return n, nil
}

func (b *book) add(ctx context.Context, e entry) error {
	if err := b.ensure(ctx); err != nil {
		return err
	}
	_, err := b.db.Exec(ctx, "INSERT INTO entries (who, text, via) VALUES ($1, $2, $3)", e.Who, e.Text, e.Via)
	if err != nil {
		return fmt.Errorf("keep the entry: %w", err)
	}
	return nil
}

// last is the newest entries, newest first.
func (b *book) last(ctx context.Context, n int) ([]entry, error) {
	if err := b.ensure(ctx); err != nil {
		return nil, err
	}
	rows, err := b.db.Query(ctx, `SELECT "when", who, text, via FROM entries ORDER BY id DESC LIMIT $1`, n)
	if err != nil {
		return nil, fmt.Errorf("read the entries: %w", err)
	}
	defer rows.Close()
	list := []entry{}
	for rows.Next() {
		var e entry
		if err := rows.Scan(&e.When, &e.Who, &e.Text, &e.Via); err != nil {
			return nil, fmt.Errorf("read the entries: %w", err)
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

const schema = `CREATE TABLE IF NOT EXISTS entries (
	id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	"when" timestamptz NOT NULL DEFAULT now(),
	who    text NOT NULL,
	text   text NOT NULL,
	via    text NOT NULL
)`

// ensure makes the table. Instances that do so at once collide in PostgreSQL's own
// tables, with a unique violation or a duplicate table: then another has made it.
func (b *book) ensure(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.table {
		return nil
	}
	_, err := b.db.Exec(ctx, schema)
	var pg *pgconn.PgError
	if err != nil && !(errors.As(err, &pg) && (pg.Code == "23505" || pg.Code == "42P07")) {
		return fmt.Errorf("make the table: %w", err)
	}
	b.table = true
	return nil
}

// ping reports whether both stores answer.
func (b *book) ping(ctx context.Context) error {
	if err := b.counter.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("counter: %w", err)
	}
	if err := b.ensure(ctx); err != nil {
		return err
	}
	if err := b.db.Ping(ctx); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	return nil
}
