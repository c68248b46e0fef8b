import { appSchema, tableSchema, type ColumnType } from '@nozbe/watermelondb'

// Those that may be unknown, in grams. A product has each per 100 g.
export const NUTRIENTS = [
  'protein',
  'carbs',
  'fat',
  'fiber',
  'sugars',
  'saturated_fat',
  'salt',
] as const

const optional = (type: ColumnType) => (name: string) => ({ name, type, isOptional: true })
const optionalNumber = optional('number')

export const schema = appSchema({
  version: 1,
  tables: [
    tableSchema({
      name: 'products',
      columns: [
        { name: 'name', type: 'string' },
        { name: 'brand', type: 'string', isOptional: true },
        { name: 'unit', type: 'string' },
        { name: 'kcal_100g', type: 'number' },
        ...NUTRIENTS.map((name) => optionalNumber(`${name}_100g`)),
        { name: 'barcode', type: 'string', isOptional: true, isIndexed: true },
        { name: 'catalog_id', type: 'string', isOptional: true },
        { name: 'servings', type: 'number', isOptional: true },
        { name: 'cooked_grams', type: 'number', isOptional: true },
      ],
    }),
    tableSchema({
      name: 'portions',
      columns: [
        { name: 'product_id', type: 'string', isIndexed: true },
        { name: 'name', type: 'string' },
        { name: 'grams', type: 'number' },
        { name: 'is_default', type: 'boolean' },
      ],
    }),
    tableSchema({
      name: 'recipe_items',
      columns: [
        { name: 'product_id', type: 'string', isIndexed: true },
        { name: 'ingredient_id', type: 'string', isIndexed: true },
        { name: 'portion_id', type: 'string', isOptional: true },
        { name: 'quantity', type: 'number', isOptional: true },
        { name: 'grams', type: 'number' },
        { name: 'position', type: 'number' },
      ],
    }),
    tableSchema({
      name: 'food_entries',
      columns: [
        { name: 'product_id', type: 'string', isOptional: true, isIndexed: true },
        { name: 'portion_id', type: 'string', isOptional: true },
        { name: 'date', type: 'string', isIndexed: true },
        { name: 'meal_type', type: 'string' },
        { name: 'name', type: 'string' },
        { name: 'unit', type: 'string' },
        { name: 'grams', type: 'number', isOptional: true },
        { name: 'quantity', type: 'number', isOptional: true },
        { name: 'kcal', type: 'number' },
        ...NUTRIENTS.map(optionalNumber),
        { name: 'eaten_at', type: 'string', isOptional: true },
      ],
    }),
    tableSchema({
      name: 'goals',
      columns: [
        { name: 'goal_type', type: 'string' },
        ...[
          'gender',
          'birth_date',
          'activity_level',
          'weight_goal_type',
          'weight_change_pace',
          'bmi_category',
        ].map(optional('string')),
        ...[
          'height_cm',
          'current_weight_kg',
          'target_weight_kg',
          'bmr_kcal',
          'tdee_kcal',
          'daily_calories_kcal',
          'protein_percent',
          'carbs_percent',
          'fat_percent',
          'protein_grams',
          'carbs_grams',
          'fat_grams',
          'water_ml',
          'healthy_weight_min_kg',
          'healthy_weight_max_kg',
          'current_bmi',
        ].map(optionalNumber),
      ],
    }),
    tableSchema({
      name: 'body_weights',
      columns: [
        { name: 'date', type: 'string', isIndexed: true },
        { name: 'weight_kg', type: 'number' },
      ],
    }),
    tableSchema({
      name: 'water_entries',
      columns: [
        { name: 'date', type: 'string', isIndexed: true },
        { name: 'ml', type: 'number' },
      ],
    }),
  ],
})
