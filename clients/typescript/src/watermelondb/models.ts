import { Database, Model, Query, Relation } from '@nozbe/watermelondb'
import { children, field, relation, text, writer } from '@nozbe/watermelondb/decorators/index.js'

import { NUTRIENTS } from './schema.js'

export type Unit = 'g' | 'ml'
export type MealType = 'breakfast' | 'lunch' | 'dinner' | 'snacks'
export type Targets = {
  dailyCaloriesKcal: number
  proteinPercent: number
  carbsPercent: number
  fatPercent: number
  waterMl: number
}
export type Meal = { date: string; mealType: MealType; eatenAt?: string }

// Half up, as the server rounds: 14 digits are enough, and leave out what a double adds to 1.005.
const rounded = (value: number) => Math.round(Number((value * 100).toPrecision(14))) / 100
const share = (per100g: number | null, grams: number) =>
  per100g === null ? null : rounded((per100g * grams) / 100)

export class Product extends Model {
  static table = 'products'
  static associations = {
    portions: { type: 'has_many' as const, foreignKey: 'product_id' },
    recipe_items: { type: 'has_many' as const, foreignKey: 'product_id' },
  }

  @text('name') name!: string
  @text('brand') brand!: string | null
  @field('unit') unit!: Unit
  @field('kcal_100g') kcal100g!: number
  @field('protein_100g') protein100g!: number | null
  @field('carbs_100g') carbs100g!: number | null
  @field('fat_100g') fat100g!: number | null
  @field('fiber_100g') fiber100g!: number | null
  @field('sugars_100g') sugars100g!: number | null
  @field('saturated_fat_100g') saturatedFat100g!: number | null
  @field('salt_100g') salt100g!: number | null
  @field('barcode') barcode!: string | null
  @field('catalog_id') catalogId!: string | null
  @field('servings') servings!: number | null
  @field('cooked_grams') cookedGrams!: number | null
  @children('portions') portions!: Query<Portion>
  @children('recipe_items') items!: Query<RecipeItem>

  @writer async log(grams: number, meal: Meal) {
    return this.collections
      .get<FoodEntry>('food_entries')
      .create((entry) => entry.eat(this, grams, meal))
  }

  @writer async remove() {
    const portions = await this.portions.fetch()
    const items = await this.items.fetch()
    await this.batch(
      ...portions.map((portion) => portion.prepareMarkAsDeleted()),
      ...items.map((item) => item.prepareMarkAsDeleted()),
      this.prepareMarkAsDeleted(),
    )
  }
}

export class Portion extends Model {
  static table = 'portions'
  static associations = {
    products: { type: 'belongs_to' as const, key: 'product_id' },
  }

  @relation('products', 'product_id') product!: Relation<Product>
  @text('name') name!: string
  @field('grams') grams!: number
  @field('is_default') isDefault!: boolean

  @writer async log(quantity: number, meal: Meal) {
    const product = await this.product.fetch()
    return this.collections.get<FoodEntry>('food_entries').create((entry) => {
      entry.quantity = rounded(quantity)
      entry.portionId = this.id
      entry.eat(product, this.grams * entry.quantity, meal)
    })
  }
}

export class RecipeItem extends Model {
  static table = 'recipe_items'
  static associations = {
    products: { type: 'belongs_to' as const, key: 'product_id' },
  }

  @relation('products', 'product_id') product!: Relation<Product>
  @relation('products', 'ingredient_id') ingredient!: Relation<Product>
  @field('portion_id') portionId!: string | null
  @field('quantity') quantity!: number | null
  @field('grams') grams!: number
  @field('position') position!: number
}

export class FoodEntry extends Model {
  static table = 'food_entries'

  @field('product_id') productId!: string | null
  @field('portion_id') portionId!: string | null
  @field('date') date!: string
  @field('meal_type') mealType!: MealType
  @text('name') name!: string
  @field('unit') unit!: Unit
  @field('grams') grams!: number | null
  @field('quantity') quantity!: number | null
  @field('kcal') kcal!: number
  @field('protein') protein!: number | null
  @field('carbs') carbs!: number | null
  @field('fat') fat!: number | null
  @field('fiber') fiber!: number | null
  @field('sugars') sugars!: number | null
  @field('saturated_fat') saturatedFat!: number | null
  @field('salt') salt!: number | null
  @field('eaten_at') eatenAt!: string | null

  eat(product: Product, grams: number, meal: Meal) {
    this.productId = product.id
    this.name = product.name
    this.unit = product.unit
    this.grams = rounded(grams)
    this.kcal = share(product.kcal100g, this.grams)!
    for (const name of NUTRIENTS) {
      const per100g = product._getRaw(`${name}_100g`) as number | null
      this._setRaw(name, share(per100g, this.grams))
    }
    this.date = meal.date
    this.mealType = meal.mealType
    this.eatenAt = meal.eatenAt ?? null
  }
}

export class Goal extends Model {
  static table = 'goals'

  @field('goal_type') goalType!: 'calculated' | 'manual'
  @field('gender') gender!: 'male' | 'female' | null
  @field('birth_date') birthDate!: string | null
  @field('height_cm') heightCm!: number | null
  @field('current_weight_kg') currentWeightKg!: number | null
  @field('activity_level') activityLevel!: string | null
  @field('weight_goal_type') weightGoalType!: 'lose' | 'maintain' | 'gain' | null
  @field('target_weight_kg') targetWeightKg!: number | null
  @field('weight_change_pace') weightChangePace!: 'slow' | 'moderate' | 'aggressive' | null
  @field('bmr_kcal') bmrKcal!: number | null
  @field('tdee_kcal') tdeeKcal!: number | null
  @field('daily_calories_kcal') dailyCaloriesKcal!: number | null
  @field('protein_percent') proteinPercent!: number | null
  @field('carbs_percent') carbsPercent!: number | null
  @field('fat_percent') fatPercent!: number | null
  @field('protein_grams') proteinGrams!: number | null
  @field('carbs_grams') carbsGrams!: number | null
  @field('fat_grams') fatGrams!: number | null
  @field('water_ml') waterMl!: number | null
  @field('healthy_weight_min_kg') healthyWeightMinKg!: number | null
  @field('healthy_weight_max_kg') healthyWeightMaxKg!: number | null
  @field('current_bmi') currentBmi!: number | null
  @field('bmi_category') bmiCategory!: string | null

  aim(targets: Partial<Targets>) {
    Object.assign(this, targets)
    const kcal = this.dailyCaloriesKcal
    const grams = (percent: number | null, kcalPerGram: number) =>
      kcal === null || percent === null ? null : Math.floor((kcal * percent) / (100 * kcalPerGram))
    this.proteinGrams = grams(this.proteinPercent, 4)
    this.carbsGrams = grams(this.carbsPercent, 4)
    this.fatGrams = grams(this.fatPercent, 9)
  }
}

export function setGoal(database: Database, build: (goal: Goal) => void) {
  return database.write(async () => {
    const goals = database.get<Goal>('goals')
    const before = await goals.query().fetch()
    const goal = goals.prepareCreate(build)
    await database.batch(...before.map((each) => each.prepareMarkAsDeleted()), goal)
    return goal
  })
}

export class BodyWeight extends Model {
  static table = 'body_weights'

  @field('date') date!: string
  @field('weight_kg') weightKg!: number
}

export class WaterEntry extends Model {
  static table = 'water_entries'

  @field('date') date!: string
  @field('ml') ml!: number
}

export const modelClasses = [
  Product,
  Portion,
  RecipeItem,
  FoodEntry,
  Goal,
  BodyWeight,
  WaterEntry,
]
