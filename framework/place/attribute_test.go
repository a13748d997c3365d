package place

import "testing"

func TestAttributesMatchConstraintsByTheirType(t *testing.T) {
	for _, tt := range []struct {
		name  string
		in    Attribute
		value string
		want  bool
	}{
		{"a text", Attribute{Text: "r1"}, "r1", true},
		{"another text", Attribute{Text: "r1"}, "r2", false},
		{"a number, which Mesos makes of rack:3", Attribute{Kind: Scalar, Number: 3}, "3", true},
		{"a number that is written another way", Attribute{Kind: Scalar, Number: 3}, "3.0", true},
		{"another number", Attribute{Kind: Scalar, Number: 3}, "4", false},
		{"a number and a text", Attribute{Kind: Scalar, Number: 3}, "three", false},
		{"a number in ranges", Attribute{Kind: Ranges, Ranges: []Range{{1, 3}, {7, 9}}}, "8", true},
		{"a number between ranges", Attribute{Kind: Ranges, Ranges: []Range{{1, 3}, {7, 9}}}, "5", false},
		{"a member of a set", Attribute{Kind: Set, Set: []string{"ssd", "hdd"}}, "hdd", true},
		{"no member of a set", Attribute{Kind: Set, Set: []string{"ssd"}}, "hdd", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.in.Matches(tt.value); got != tt.want {
				t.Errorf("Matches returned %v, want %v", got, tt.want)
			}
		})
	}
}
