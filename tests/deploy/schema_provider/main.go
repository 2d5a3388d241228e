// A provider for Terraform that knows schemas and calls nobody: with it Terraform validates and applies where the real one
// cannot be had. The schemas are a file that tests/support/aws_schema.py writes; SCHEMA_PROVIDER_FILE names it.
//
// It makes everything at once, and invents what AWS would choose. It changes and removes nothing.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

const address = "registry.terraform.io/hashicorp/aws"

type attribute struct {
	Type      json.RawMessage `json:"type"`
	Required  bool            `json:"required"`
	Optional  bool            `json:"optional"`
	Computed  bool            `json:"computed"`
	WriteOnly bool            `json:"write_only"`
}

type nested struct {
	Nesting string `json:"nesting"`
	Most    int64  `json:"most"`
	Block   block  `json:"block"`
}

type block struct {
	Attributes map[string]attribute `json:"attributes"`
	Blocks     map[string]nested    `json:"blocks"`
}

type file struct {
	Resources map[string]block `json:"resource"`
	Data      map[string]block `json:"data"`
	Ephemeral map[string]block `json:"ephemeral"`
}

var nestings = map[string]tfprotov6.SchemaNestedBlockNestingMode{
	"list":   tfprotov6.SchemaNestedBlockNestingModeList,
	"set":    tfprotov6.SchemaNestedBlockNestingModeSet,
	"map":    tfprotov6.SchemaNestedBlockNestingModeMap,
	"single": tfprotov6.SchemaNestedBlockNestingModeSingle,
}

// The provider's own block, as far as terraform/ uses it.
var own = block{
	Attributes: map[string]attribute{"region": {Type: json.RawMessage(`"string"`), Optional: true}},
	Blocks: map[string]nested{"default_tags": {Nesting: "list", Most: 1, Block: block{
		Attributes: map[string]attribute{"tags": {Type: json.RawMessage(`["map","string"]`), Optional: true}},
	}}},
}

func typeOf(raw json.RawMessage) tftypes.Type {
	if string(raw) == `"dynamic"` {
		return tftypes.DynamicPseudoType
	}
	found, err := tftypes.ParseJSONType(raw) //nolint:staticcheck // the only parser of these
	if err != nil {
		log.Fatalf("type %s: %v", raw, err)
	}
	return found
}

func (b block) schema() *tfprotov6.SchemaBlock {
	found := &tfprotov6.SchemaBlock{}
	for name, a := range b.Attributes {
		found.Attributes = append(found.Attributes, &tfprotov6.SchemaAttribute{
			Name: name, Type: typeOf(a.Type), WriteOnly: a.WriteOnly,
			Required: a.Required, Optional: a.Optional, Computed: a.Computed,
		})
	}
	for name, n := range b.Blocks {
		found.BlockTypes = append(found.BlockTypes, &tfprotov6.SchemaNestedBlock{
			TypeName: name, Nesting: nestings[n.Nesting], MaxItems: n.Most, Block: n.Block.schema(),
		})
	}
	return found
}

func all(blocks map[string]block) map[string]*tfprotov6.Schema {
	found := map[string]*tfprotov6.Schema{}
	for name, b := range blocks {
		found[name] = &tfprotov6.Schema{Block: b.schema()}
	}
	return found
}

// provider answers; the methods of the embedded interface that are not below do not exist.
type provider struct {
	tfprotov6.ProviderServer
	file file
}

func (p provider) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	return &tfprotov6.GetMetadataResponse{}, nil
}

func (p provider) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	return &tfprotov6.GetProviderSchemaResponse{
		Provider:                 &tfprotov6.Schema{Block: own.schema()},
		ResourceSchemas:          all(p.file.Resources),
		DataSourceSchemas:        all(p.file.Data),
		EphemeralResourceSchemas: all(p.file.Ephemeral),
	}, nil
}

func (p provider) GetResourceIdentitySchemas(context.Context, *tfprotov6.GetResourceIdentitySchemasRequest) (*tfprotov6.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov6.GetResourceIdentitySchemasResponse{}, nil
}

func (p provider) ValidateProviderConfig(_ context.Context, given *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: given.Config}, nil
}

func (p provider) ConfigureProvider(context.Context, *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	return &tfprotov6.ConfigureProviderResponse{}, nil
}

func (p provider) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}

func (p provider) ValidateResourceConfig(context.Context, *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return &tfprotov6.ValidateResourceConfigResponse{}, nil
}

func (p provider) ValidateDataResourceConfig(context.Context, *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return &tfprotov6.ValidateDataResourceConfigResponse{}, nil
}

func (p provider) ValidateEphemeralResourceConfig(context.Context, *tfprotov6.ValidateEphemeralResourceConfigRequest) (*tfprotov6.ValidateEphemeralResourceConfigResponse, error) {
	return &tfprotov6.ValidateEphemeralResourceConfigResponse{}, nil
}

func (p provider) PlanResourceChange(_ context.Context, given *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	planned, err := filled(p.file.Resources[given.TypeName], given.ProposedNewState, "")
	return &tfprotov6.PlanResourceChangeResponse{PlannedState: planned}, err
}

func (p provider) ApplyResourceChange(_ context.Context, given *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	made, err := filled(p.file.Resources[given.TypeName], given.PlannedState, given.TypeName)
	return &tfprotov6.ApplyResourceChangeResponse{NewState: made}, err
}

func (p provider) ReadDataSource(_ context.Context, given *tfprotov6.ReadDataSourceRequest) (*tfprotov6.ReadDataSourceResponse, error) {
	read, err := filled(p.file.Data[given.TypeName], given.Config, given.TypeName)
	return &tfprotov6.ReadDataSourceResponse{State: read}, err
}

func (p provider) OpenEphemeralResource(_ context.Context, given *tfprotov6.OpenEphemeralResourceRequest) (*tfprotov6.OpenEphemeralResourceResponse, error) {
	opened, err := filled(p.file.Ephemeral[given.TypeName], given.Config, given.TypeName)
	return &tfprotov6.OpenEphemeralResourceResponse{Result: opened}, err
}

func (p provider) CloseEphemeralResource(context.Context, *tfprotov6.CloseEphemeralResourceRequest) (*tfprotov6.CloseEphemeralResourceResponse, error) {
	return &tfprotov6.CloseEphemeralResourceResponse{}, nil
}

// filled completes a value; without a type's name, what AWS would choose stays unknown.
func filled(b block, given *tfprotov6.DynamicValue, typeName string) (*tfprotov6.DynamicValue, error) {
	wanted := b.schema().ValueType()
	value, err := given.Unmarshal(wanted)
	if err != nil {
		return nil, err
	}
	choose := unknown
	if typeName != "" {
		choose = inventor(typeName, value)
	}
	value, err = b.fill(value, choose)
	if err != nil {
		return nil, err
	}
	made, err := tfprotov6.NewDynamicValue(wanted, value)
	return &made, err
}

func main() {
	raw, err := os.ReadFile(os.Getenv("SCHEMA_PROVIDER_FILE"))
	if err != nil {
		log.Fatal(err)
	}
	served := provider{}
	if err := json.Unmarshal(raw, &served.file); err != nil {
		log.Fatal(err)
	}
	if err := tf6server.Serve(address, func() tfprotov6.ProviderServer { return served }); err != nil {
		log.Fatal(err)
	}
}
