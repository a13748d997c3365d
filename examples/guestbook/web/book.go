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

// entry is an entry of the guestbook.
type entry struct {
	When time.Time `json:"when"`
	Who  string    `json:"who"`
	Text string    `json:"text"`
	Via  string    `json:"via"` // the instance that received the entry
}

// book is the guestbook, with entries in PostgreSQL and hits in Redis. Every call connects again if
// it has to, so both stores may restart.
type book struct {
	db      *pgxpool.Pool
	counter *redis.Client

	mu    sync.Mutex // guards table
	table bool       // this process has seen or created the table
}

func openBook(database, counter string) (*book, error) {
	db, err := pgxpool.New(context.Background(), database) // it connects at the first use
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	return &book{db: db, counter: redis.NewClient(&redis.Options{Addr: counter, DialTimeout: 2 * time.Second})}, nil
}

func (b *book) close() {
	b.db.Close()
	_ = b.counter.Close() // the process ends anyway
}

// hit counts a visit and returns the new number of visits.
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
		return fmt.Errorf("store the entry: %w", err)
	}
	return nil
}

// last returns the n newest entries, the newest first.
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

// ensure creates the table if it does not exist. If several instances do that at once, some get a
// unique violation (23505) or a duplicate table (42P07): then another instance has created it.
func (b *book) ensure(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.table {
		return nil
	}
	_, err := b.db.Exec(ctx, schema)
	var pg *pgconn.PgError
	if err != nil && !(errors.As(err, &pg) && (pg.Code == "23505" || pg.Code == "42P07")) {
		return fmt.Errorf("create the table: %w", err)
	}
	b.table = true
	return nil
}

// ping returns an error if one of the stores does not answer.
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
