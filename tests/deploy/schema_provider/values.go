package main

import (
	"fmt"

	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// labels are the attributes that people name things by.
var labels = []string{"name", "family", "bucket", "cluster_name", "replication_group_id", "name_prefix"}

// invented is a value of AWS's choice: the same every time, and told apart by type, name and attribute.
func invented(typeName, label, attribute string, wanted tftypes.Type) tftypes.Value {
	switch {
	case attribute == "account_id":
		return tftypes.NewValue(tftypes.String, "111122223333")
	case attribute == "partition":
		return tftypes.NewValue(tftypes.String, "aws")
	case typeName == "aws_region":
		return tftypes.NewValue(tftypes.String, "eu-central-1")
	case wanted.Is(tftypes.String) && attribute == "arn":
		return tftypes.NewValue(tftypes.String, "arn:aws:"+typeName+":eu-central-1:111122223333:"+label)
	case wanted.Is(tftypes.String):
		return tftypes.NewValue(tftypes.String, typeName+"."+label+"."+attribute)
	case wanted.Is(tftypes.Number):
		return tftypes.NewValue(tftypes.Number, 1)
	case wanted.Is(tftypes.Bool):
		return tftypes.NewValue(tftypes.Bool, false)
	}
	return tftypes.NewValue(wanted, empty(wanted))
}

func empty(wanted tftypes.Type) any {
	switch wanted.(type) {
	case tftypes.List, tftypes.Set:
		return []tftypes.Value{}
	case tftypes.Map:
		return map[string]tftypes.Value{}
	}
	return nil
}

// chooser says what a computed attribute gets that the configuration leaves open.
type chooser func(attribute string, wanted tftypes.Type) tftypes.Value

func unknown(_ string, wanted tftypes.Type) tftypes.Value {
	return tftypes.NewValue(wanted, tftypes.UnknownValue)
}

// inventor invents for one object, which has a name if the configuration gives it one.
func inventor(typeName string, given tftypes.Value) chooser {
	label := ""
	members := map[string]tftypes.Value{}
	if given.As(&members) == nil {
		for _, name := range labels {
			if value, found := members[name]; found && label == "" && value.IsKnown() && value.Type().Is(tftypes.String) {
				_ = value.As(&label) // null leaves it empty
			}
		}
	}
	return func(attribute string, wanted tftypes.Type) tftypes.Value {
		return invented(typeName, label, attribute, wanted)
	}
}

// fill completes an object: what AWS chooses where nothing is configured, and nothing where a value is only written.
func (b block) fill(given tftypes.Value, choose chooser) (tftypes.Value, error) {
	if given.IsNull() || !given.IsKnown() {
		return given, nil
	}
	members := map[string]tftypes.Value{}
	if err := given.As(&members); err != nil {
		return given, fmt.Errorf("an object: %w", err)
	}
	for name, a := range b.Attributes {
		wanted := members[name].Type()
		switch {
		case a.WriteOnly:
			members[name] = tftypes.NewValue(wanted, nil)
		case a.Computed && (members[name].IsNull() || !members[name].IsKnown()):
			members[name] = choose(name, wanted)
		}
	}
	for name, n := range b.Blocks {
		filled, err := n.fill(members[name], choose)
		if err != nil {
			return given, fmt.Errorf("%s: %w", name, err)
		}
		members[name] = filled
	}
	return tftypes.NewValue(given.Type(), members), nil
}

func (n nested) fill(given tftypes.Value, choose chooser) (tftypes.Value, error) {
	if n.Nesting == "single" {
		return n.Block.fill(given, choose)
	}
	if given.IsNull() || !given.IsKnown() || n.Nesting == "map" {
		return given, nil
	}
	var elements []tftypes.Value
	if err := given.As(&elements); err != nil {
		return given, err
	}
	for index, element := range elements {
		filled, err := n.Block.fill(element, choose)
		if err != nil {
			return given, err
		}
		elements[index] = filled
	}
	return tftypes.NewValue(given.Type(), elements), nil
}
